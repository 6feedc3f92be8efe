-- claim_cleanup: at most :count_max due rows are ours to work on; the claim of one writer excludes the others.
UPDATE cleanup_queue
SET claimed_by = :process_id, claimed_at_us = :now_us, claimed_under = :lease, claim_token = :token
WHERE cleanup_id IN (
    SELECT cleanup_id FROM cleanup_queue
    WHERE claimed_by IS NULL AND next_retry_us <= :due_us
    ORDER BY next_retry_us
    LIMIT :count_max
)
RETURNING cleanup_id, backend_id, storage_key, size_bytes, reason, attempts
