-- renew_intents: an instance still holds its intents. As many rows changed as it holds.
UPDATE pending_objects SET renewed_at_us = :now_us WHERE instance_id = :instance_id AND claimed_by IS NULL
