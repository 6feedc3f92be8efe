-- forget_dead_of_backend: some keys of a backend whose deletion was given up are forgotten. At most :count_max rows out.
DELETE FROM cleanup_dlq WHERE cleanup_id IN (
    SELECT cleanup_id FROM cleanup_dlq WHERE backend_id = :backend_id ORDER BY cleanup_id LIMIT :count_max
)
RETURNING size_bytes
