-- postpone_repair: a try failed, and the next one is due later. One row changed, or none when it has ended.
UPDATE repair_jobs SET state = 'detected', due_us = :due_us, attempt_count = attempt_count + 1, last_error = :error
WHERE kind = :kind AND blob_id = :blob_id AND ended_at_us IS NULL
