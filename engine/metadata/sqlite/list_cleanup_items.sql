-- list_cleanup_items: at most :count_max rows of the queue behind an id, of a backend and due by a time, where these are not
-- null.
SELECT cleanup_id, backend_id, storage_key, size_bytes, reason, attempts, next_retry_us, last_error, claimed_by IS NOT NULL
FROM cleanup_queue
WHERE cleanup_id > :after AND (:backend_id IS NULL OR backend_id = :backend_id)
    AND (:due_us IS NULL OR next_retry_us <= :due_us)
ORDER BY cleanup_id
LIMIT :count_max
