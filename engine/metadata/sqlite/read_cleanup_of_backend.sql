-- read_cleanup_of_backend: keys of a backend that wait for deletion, their bytes, when the last of them may go first, and
-- when the next one is tried. One row.
SELECT COUNT(*), COALESCE(SUM(size_bytes), 0), MAX(not_before_us), MIN(next_retry_us)
FROM cleanup_queue WHERE backend_id = :backend_id
