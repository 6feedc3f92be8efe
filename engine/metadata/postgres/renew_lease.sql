-- renew_lease: the job stays ours. One row changed, or none when it is not ours any more.
UPDATE worker_leases SET expires_at_us = :expires_at_us
WHERE worker = :worker AND holder = :holder AND token = :token AND expires_at_us > :now_us
