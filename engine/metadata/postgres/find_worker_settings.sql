-- find_worker_settings: what the configuration and operators say about a worker. At most one row.
SELECT is_enabled, interval_s, rate_bytes, paused_by, paused_why, paused_until_us, paused_at_us,
    override_is_enabled, override_interval_s, override_rate_bytes, overridden_by, overridden_at_us
FROM worker_settings
WHERE worker = :worker
