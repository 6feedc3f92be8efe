-- sum_bucket_bytes: a row for each scheme that buckets ask for, null for the deployment's: what these buckets hold together.
-- As many rows are read as buckets have stripes.
SELECT b.scheme, COALESCE(SUM(q.used_bytes), 0)
FROM buckets AS b
JOIN backend_quotas AS q ON q.subject = 'bucket:' || b.bucket_id
GROUP BY b.scheme
