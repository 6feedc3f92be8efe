-- insert_lease: the job is known. One row changed, or none when it was.
INSERT INTO worker_leases (worker, holder, token, expires_at_us) VALUES (:worker, NULL, 0, 0)
ON CONFLICT (worker) DO NOTHING
