-- sum_bucket_usage: what clients asked of each bucket in the days from a time on, behind a name and a number of a bucket,
-- at most :count_max rows, and whether the bucket is there still. As many rows are read as buckets have days.
SELECT u.bucket_name, u.bucket_id, MAX((b.bucket_id IS NOT NULL)::int)::bigint, SUM(u.write_request_count)::bigint,
    SUM(u.read_request_count)::bigint, SUM(u.delete_request_count)::bigint, SUM(u.content_request_count)::bigint,
    SUM(u.egress_bytes)::bigint, SUM(u.ingress_bytes)::bigint
FROM bucket_usage AS u
LEFT JOIN buckets AS b ON b.bucket_id = u.bucket_id
WHERE u.step = 'day' AND u.starts_us >= :since_us AND (u.bucket_name, u.bucket_id) > (:after_name, :after_id)
GROUP BY u.bucket_name, u.bucket_id
ORDER BY u.bucket_name, u.bucket_id
LIMIT :count_max
