-- list_worker_runs: runs of a worker, or of all, the newest first, before a run; nulls ask for all. At most :count_max rows.
SELECT r.run_id, r.worker, r.holder, r.started_at_us, r.finished_at_us, r.done_count, r.deferred_count, r.error,
    CASE WHEN l.holder = r.holder AND l.token = r.token THEN l.expires_at_us END
FROM worker_runs AS r
LEFT JOIN worker_leases AS l ON l.worker = r.worker
WHERE (:worker IS NULL OR r.worker = :worker) AND (:before_id IS NULL OR r.run_id < :before_id)
ORDER BY r.run_id DESC
LIMIT :count_max
