-- Claims say under which lease they were made: they end with it, and not only when they are old.

ALTER TABLE cleanup_queue ADD COLUMN claimed_under TEXT COLLATE "C"; -- lease it was claimed under; null: none, or not claimed
ALTER TABLE cleanup_queue ADD COLUMN claim_token BIGINT; -- fencing token of that lease; null without one
ALTER TABLE pending_objects ADD COLUMN claimed_under TEXT COLLATE "C"; -- lease it was claimed under; null: none, or not claimed
ALTER TABLE pending_objects ADD COLUMN claim_token BIGINT; -- fencing token of that lease; null without one

COMMENT ON COLUMN cleanup_queue.claimed_under IS 'lease it was claimed under; null: none, or not claimed';
COMMENT ON COLUMN cleanup_queue.claim_token IS 'fencing token of that lease; null without one';
COMMENT ON COLUMN pending_objects.claimed_under IS 'lease it was claimed under; null: none, or not claimed';
COMMENT ON COLUMN pending_objects.claim_token IS 'fencing token of that lease; null without one';
