-- forget_cleanup_of_backend: some keys of a backend wait for deletion no more. At most :count_max rows out.
DELETE FROM cleanup_queue WHERE cleanup_id IN (
    SELECT cleanup_id FROM cleanup_queue WHERE backend_id = :backend_id ORDER BY storage_key LIMIT :count_max
)
RETURNING size_bytes
