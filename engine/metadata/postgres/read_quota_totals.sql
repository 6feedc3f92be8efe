-- read_quota_totals: at most one row, the sums over a subject's stripes.
SELECT l.limit_bytes, SUM(q.used_bytes)::bigint, SUM(q.orphan_bytes)::bigint, SUM(q.reserved_bytes)::bigint, SUM(q.object_count)::bigint
FROM quota_limits AS l
JOIN backend_quotas AS q ON q.subject = l.subject
WHERE l.subject = :subject
GROUP BY l.subject
