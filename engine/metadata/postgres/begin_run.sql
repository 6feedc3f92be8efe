-- begin_run: a run begins. One row out.
INSERT INTO worker_runs (worker, holder, token, started_at_us) VALUES (:worker, :holder, :token, :now_us)
RETURNING run_id
