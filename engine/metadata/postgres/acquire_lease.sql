-- acquire_lease: the job is ours, with a token higher than any before. One row out, or none while somebody holds it.
UPDATE worker_leases
SET holder = :holder, token = token + 1, expires_at_us = :expires_at_us
WHERE worker = :worker AND (holder IS NULL OR expires_at_us <= :now_us)
RETURNING token
