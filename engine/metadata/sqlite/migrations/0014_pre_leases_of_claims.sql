-- Claims say under which lease they were made: they end with it, and not only when they are old.

ALTER TABLE cleanup_queue ADD COLUMN claimed_under TEXT; -- lease it was claimed under; null: none, or not claimed
ALTER TABLE cleanup_queue ADD COLUMN claim_token INTEGER; -- fencing token of that lease; null without one
ALTER TABLE pending_objects ADD COLUMN claimed_under TEXT; -- lease it was claimed under; null: none, or not claimed
ALTER TABLE pending_objects ADD COLUMN claim_token INTEGER; -- fencing token of that lease; null without one
