-- read_cleanup_of_backend: keys of a backend that wait for deletion, their bytes, and when the last of them may go first.
-- One row.
SELECT COUNT(*), COALESCE(SUM(size_bytes), 0), MAX(not_before_us) FROM cleanup_queue WHERE backend_id = :backend_id
