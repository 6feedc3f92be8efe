-- end_repair: the blob has as many copies as it should. One row changed, or none when somebody else was quicker.
UPDATE repair_jobs SET state = 'switched', ended_at_us = :now_us, last_error = NULL
WHERE kind = :kind AND blob_id = :blob_id AND ended_at_us IS NULL
