-- renew_intent: its holder still means to use it. One row changed, or none when it was fulfilled or claimed.
UPDATE pending_objects SET renewed_at_us = :now_us WHERE intent_id = :intent_id AND claimed_by IS NULL
