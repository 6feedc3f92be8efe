-- list_repairs: at most :count_max repairs of a kind that have not ended, after a blob, in the order of blobs.
SELECT blob_id, state, reason, detected_at_us, due_us, attempt_count, last_error FROM repair_jobs
WHERE kind = :kind AND blob_id > :after AND ended_at_us IS NULL
ORDER BY blob_id
LIMIT :count_max
