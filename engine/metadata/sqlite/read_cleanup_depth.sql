-- read_cleanup_depth: one row: queued, due, bytes, the oldest due time.
SELECT COUNT(*), COALESCE(SUM(next_retry_us <= :now_us), 0), COALESCE(SUM(size_bytes), 0), MIN(next_retry_us)
FROM cleanup_queue
