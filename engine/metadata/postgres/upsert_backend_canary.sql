-- upsert_backend_canary: what a trial write to a backend came to, and how long that counts. One row changed.
INSERT INTO backend_canaries (backend_id, problem, checked_at_us, expires_at_us)
VALUES (:backend_id, :problem, :now_us, :expires_at_us)
ON CONFLICT (backend_id) DO UPDATE SET problem = :problem, checked_at_us = :now_us, expires_at_us = :expires_at_us
