-- forget_repairs: at most :count_max repairs that ended before a time are remembered no more.
DELETE FROM repair_jobs WHERE (kind, blob_id) IN (
    SELECT kind, blob_id FROM repair_jobs WHERE ended_at_us < :before_us ORDER BY ended_at_us LIMIT :count_max
)
