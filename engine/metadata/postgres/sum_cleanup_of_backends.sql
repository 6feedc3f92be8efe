-- sum_cleanup_of_backends: one row for each backend that has any: how much waits for deletion there, and how much was given
-- up.
SELECT backend_id, SUM(queued)::bigint, SUM(queued_bytes)::bigint, SUM(dead)::bigint, SUM(dead_bytes)::bigint
FROM (
    SELECT backend_id, 1 AS queued, size_bytes AS queued_bytes, 0 AS dead, 0 AS dead_bytes FROM cleanup_queue
    UNION ALL
    SELECT backend_id, 0, 0, 1, size_bytes FROM cleanup_dlq
) AS waiting
GROUP BY backend_id
ORDER BY backend_id
