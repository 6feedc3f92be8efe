-- sum_content_requests: a row for each scheme that buckets ask for, null for the deployment's and for buckets that are gone: how
-- often clients stored content in them in the days from a time on, and the bytes that they sent. As many rows are read as
-- buckets have days.
SELECT b.scheme, SUM(u.content_request_count), SUM(u.ingress_bytes)
FROM bucket_usage AS u
LEFT JOIN buckets AS b ON b.bucket_id = u.bucket_id
WHERE u.step = 'day' AND u.starts_us >= :since_us
GROUP BY b.scheme
