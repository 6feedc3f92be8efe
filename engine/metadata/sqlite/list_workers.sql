-- list_workers: every worker with its lease and what became of its runs, by name.
SELECT s.worker, s.is_enabled, s.interval_s, s.rate_bytes, s.triggered_at_us,
    s.paused_by, s.paused_why, s.paused_until_us, s.paused_at_us,
    s.override_is_enabled, s.override_interval_s, s.override_rate_bytes, s.overridden_by, s.overridden_at_us,
    l.holder, l.expires_at_us,
    (SELECT MAX(started_at_us) FROM worker_runs AS r WHERE r.worker = s.worker),
    (SELECT MAX(finished_at_us) FROM worker_runs AS r WHERE r.worker = s.worker AND r.error IS NULL),
    (SELECT MAX(finished_at_us) FROM worker_runs AS r WHERE r.worker = s.worker AND r.error IS NOT NULL),
    (SELECT error FROM worker_runs AS r WHERE r.worker = s.worker AND r.error IS NOT NULL ORDER BY run_id DESC LIMIT 1),
    (SELECT COUNT(*) FROM worker_runs AS r WHERE r.worker = s.worker AND r.error IS NOT NULL AND r.run_id > COALESCE(
        (SELECT MAX(run_id) FROM worker_runs AS g
            WHERE g.worker = s.worker AND g.error IS NULL AND g.finished_at_us IS NOT NULL), 0))
FROM worker_settings AS s
LEFT JOIN worker_leases AS l ON l.worker = s.worker
WHERE :worker IS NULL OR s.worker = :worker
ORDER BY s.worker
