-- sum_cleanup_bytes: one row: what waits for deletion on a backend, buried rows included.
SELECT COALESCE(SUM(size_bytes), 0)::bigint FROM (
    SELECT size_bytes FROM cleanup_queue WHERE backend_id = :backend_id
    UNION ALL
    SELECT size_bytes FROM cleanup_dlq WHERE backend_id = :backend_id
) AS queued
