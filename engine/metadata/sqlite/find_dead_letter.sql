-- find_dead_letter: at most one row: a dead letter by its id, as list_dead_letters has them.
SELECT cleanup_id, backend_id, storage_key, size_bytes, reason, attempts, last_error, died_at_us
FROM cleanup_dlq
WHERE cleanup_id = :cleanup_id
