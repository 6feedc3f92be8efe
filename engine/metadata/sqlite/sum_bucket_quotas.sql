-- sum_bucket_quotas: one row: how many buckets there are, how many have no limit, the sum of the limits, and what all of
-- them hold. As many rows are read as buckets have stripes.
SELECT COUNT(*), COALESCE(SUM(limit_bytes IS NULL), 0), COALESCE(SUM(limit_bytes), 0), COALESCE(SUM(used_bytes), 0),
    COALESCE(SUM(reserved_bytes), 0), COALESCE(SUM(object_count), 0)
FROM (
    SELECT l.limit_bytes, SUM(q.used_bytes) AS used_bytes, SUM(q.reserved_bytes) AS reserved_bytes,
        SUM(q.object_count) AS object_count
    FROM quota_limits AS l
    JOIN backend_quotas AS q ON q.subject = l.subject
    WHERE l.subject LIKE 'bucket:%'
    GROUP BY l.subject, l.limit_bytes
) AS each_bucket
