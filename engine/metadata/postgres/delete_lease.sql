-- delete_lease: nobody will ever lead this again. One row changed, or none when it was not known.
DELETE FROM worker_leases
WHERE worker = :worker
