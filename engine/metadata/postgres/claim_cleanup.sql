-- claim_cleanup: at most :count_max due rows are ours to work on; the claim of one writer excludes the others.
-- An array is made once; a subselect might be run again for each row, and then its limit would hold for none.
UPDATE cleanup_queue
SET claimed_by = :process_id, claimed_at_us = :now_us, claimed_under = :lease, claim_token = :token
WHERE cleanup_id = ANY (ARRAY (
    SELECT cleanup_id FROM cleanup_queue
    WHERE claimed_by IS NULL AND next_retry_us <= :due_us
    ORDER BY next_retry_us
    LIMIT :count_max
    FOR UPDATE SKIP LOCKED
))
RETURNING cleanup_id, backend_id, storage_key, size_bytes, reason, attempts
