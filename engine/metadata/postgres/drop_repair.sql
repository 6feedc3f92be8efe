-- drop_repair: there is nothing to repair. One row changed, or none.
DELETE FROM repair_jobs WHERE kind = :kind AND blob_id = :blob_id AND ended_at_us IS NULL
