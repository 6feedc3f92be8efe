-- update_worker: what a generation says about a worker. One row changed.
UPDATE worker_settings SET is_enabled = :is_enabled, interval_s = :interval_s, rate_bytes = :rate_bytes
WHERE worker = :worker
