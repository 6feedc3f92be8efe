-- find_worker_run: at most one row, by number.
SELECT r.run_id, r.worker, r.holder, r.started_at_us, r.finished_at_us, r.done_count, r.deferred_count, r.error,
    CASE WHEN l.holder = r.holder AND l.token = r.token THEN l.expires_at_us END
FROM worker_runs AS r
LEFT JOIN worker_leases AS l ON l.worker = r.worker
WHERE r.worker = :worker AND r.run_id = :run_id
