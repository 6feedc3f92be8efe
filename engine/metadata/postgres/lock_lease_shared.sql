-- lock_lease_shared: keep a lease from being taken over until the commit. At most one row out.
SELECT 1 FROM worker_leases WHERE worker = :worker FOR SHARE
