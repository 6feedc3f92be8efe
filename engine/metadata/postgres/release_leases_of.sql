-- release_leases_of: whatever a process that is gone led is free. As many rows changed as it held leases.
UPDATE worker_leases SET holder = NULL, expires_at_us = 0
WHERE holder = :holder
