-- list_cleanup_dead: at most :count_max dead letters after an id.
SELECT cleanup_id, backend_id, storage_key, size_bytes, reason, attempts
FROM cleanup_dlq
WHERE cleanup_id > :after
ORDER BY cleanup_id
LIMIT :count_max
