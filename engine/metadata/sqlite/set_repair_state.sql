-- set_repair_state: how far a repair has come. One row changed, or none when it has ended.
UPDATE repair_jobs SET state = :state
WHERE kind = :kind AND blob_id = :blob_id AND ended_at_us IS NULL
