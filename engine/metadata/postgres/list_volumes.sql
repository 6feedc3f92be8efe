-- list_volumes: the files of a backend, the oldest first.
SELECT volume_id, backend_id, owner_process, state, size_bytes, dead_bytes, unlink_after_us
FROM volumes
WHERE backend_id = :backend_id
ORDER BY volume_id
