-- release_lease: the job is free. One row changed, or none when it was not ours any more.
UPDATE worker_leases SET holder = NULL, expires_at_us = 0
WHERE worker = :worker AND holder = :holder AND token = :token
