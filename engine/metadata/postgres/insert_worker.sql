-- insert_worker: a worker has settings. One row changed, or none when it had.
INSERT INTO worker_settings (worker, is_enabled, interval_s, rate_bytes)
VALUES (:worker, :is_enabled, :interval_s, :rate_bytes)
ON CONFLICT (worker) DO NOTHING
