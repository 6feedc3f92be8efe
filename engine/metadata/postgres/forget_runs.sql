-- forget_runs: of a worker's runs only the newest :keep_count stay.
DELETE FROM worker_runs
WHERE worker = :worker AND run_id <= (
    SELECT run_id FROM worker_runs WHERE worker = :worker ORDER BY run_id DESC LIMIT 1 OFFSET :keep_count
)
