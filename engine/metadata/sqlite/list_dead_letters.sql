-- list_dead_letters: at most :count_max dead letters behind an id, of a backend, of a reason, and dead before a time, where
-- these are not null.
SELECT cleanup_id, backend_id, storage_key, size_bytes, reason, attempts, last_error, died_at_us
FROM cleanup_dlq
WHERE cleanup_id > :after AND (:backend_id IS NULL OR backend_id = :backend_id) AND (:reason IS NULL OR reason = :reason)
    AND (:died_before_us IS NULL OR died_at_us < :died_before_us)
ORDER BY cleanup_id
LIMIT :count_max
