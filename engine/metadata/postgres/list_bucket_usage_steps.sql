-- list_bucket_usage_steps: hours or days of a bucket from a time on, the oldest first, at most :count_max rows.
SELECT starts_us, write_request_count, read_request_count, delete_request_count, egress_bytes, ingress_bytes, stored_bytes
FROM bucket_usage
WHERE bucket_name = :bucket_name AND bucket_id = :bucket_id AND step = :step AND starts_us >= :since_us
ORDER BY starts_us LIMIT :count_max
