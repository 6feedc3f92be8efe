-- end_run: a run has ended. One row changed.
UPDATE worker_runs
SET finished_at_us = :now_us, done_count = :done_count, deferred_count = :deferred_count, error = :error
WHERE run_id = :run_id
