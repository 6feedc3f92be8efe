-- list_held_leases: what is being led now and by whom, workers and operations alike.
-- As many rows as are led: one for each worker that runs, and some for each instance's operations.
SELECT worker, holder FROM worker_leases WHERE holder IS NOT NULL AND expires_at_us > :now_us
