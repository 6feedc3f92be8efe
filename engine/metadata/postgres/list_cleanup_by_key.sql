-- list_cleanup_by_key: at most :count_max keys of a backend that wait for deletion, buried ones included, in order.
SELECT storage_key, size_bytes FROM (
    SELECT storage_key, size_bytes FROM cleanup_queue WHERE backend_id = :backend_id AND storage_key > :after
    UNION ALL
    SELECT storage_key, size_bytes FROM cleanup_dlq WHERE backend_id = :backend_id AND storage_key > :after
) AS queued
ORDER BY storage_key
LIMIT :count_max
