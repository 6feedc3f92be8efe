-- read_quota_totals: at most one row, the sums over a subject's stripes.
SELECT l.limit_bytes, SUM(q.used_bytes), SUM(q.orphan_bytes), SUM(q.reserved_bytes), SUM(q.object_count)
FROM quota_limits AS l
JOIN backend_quotas AS q ON q.subject = l.subject
WHERE l.subject = :subject
GROUP BY l.subject
