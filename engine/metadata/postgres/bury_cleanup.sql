-- bury_cleanup: the last try failed, the row goes to the dead letters. One row changed.
INSERT INTO cleanup_dlq (cleanup_id, backend_id, storage_key, reason, size_bytes, attempts, last_error, died_at_us)
SELECT cleanup_id, backend_id, storage_key, reason, size_bytes, attempts + 1, :error, :now_us
FROM cleanup_queue
WHERE cleanup_id = :cleanup_id
