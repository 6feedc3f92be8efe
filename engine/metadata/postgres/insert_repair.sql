-- insert_repair: a blob has too few or too many copies. One row changed, or none when it is known to.
INSERT INTO repair_jobs (kind, blob_id, state, reason, detected_at_us, due_us)
VALUES (:kind, :blob_id, 'detected', :reason, :now_us, :now_us)
ON CONFLICT (kind, blob_id) DO UPDATE SET state = 'detected', reason = :reason, detected_at_us = :now_us, due_us = :now_us,
    attempt_count = 0, last_error = NULL, ended_at_us = NULL
WHERE repair_jobs.ended_at_us IS NOT NULL
