-- check_lease: one row while the job is ours; asked in the transaction of every write of the job.
SELECT 1 FROM worker_leases
WHERE worker = :worker AND holder = :holder AND token = :token AND expires_at_us > :now_us
