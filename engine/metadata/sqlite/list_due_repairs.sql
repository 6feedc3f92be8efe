-- list_due_repairs: at most :count_max repairs of a kind that are due, those that wait longest first.
SELECT blob_id, state, reason, detected_at_us, due_us, attempt_count, last_error FROM repair_jobs
WHERE kind = :kind AND due_us <= :now_us AND ended_at_us IS NULL
ORDER BY due_us
LIMIT :count_max
