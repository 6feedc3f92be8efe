-- read_cleanup_depth: one row: queued, due, bytes, the oldest due time.
SELECT COUNT(*), COALESCE(SUM((next_retry_us <= :now_us)::int), 0)::bigint, COALESCE(SUM(size_bytes), 0)::bigint, MIN(next_retry_us)
FROM cleanup_queue
