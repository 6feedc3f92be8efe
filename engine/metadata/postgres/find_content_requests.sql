-- find_content_requests: one row: how often clients stored content in a bucket in the days from a time on, and the bytes that
-- they sent. As many rows are read as it has days.
SELECT COALESCE(SUM(content_request_count), 0)::bigint, COALESCE(SUM(ingress_bytes), 0)::bigint
FROM bucket_usage
WHERE bucket_name = :bucket_name AND bucket_id = :bucket_id AND step = 'day' AND starts_us >= :since_us
