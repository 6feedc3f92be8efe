-- count_dead_of_backend: keys of a backend whose deletion was given up. One row.
SELECT COUNT(*) FROM cleanup_dlq WHERE backend_id = :backend_id
