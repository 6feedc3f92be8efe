-- find_past_bucket: one row: the newest bucket of that name of which requests were counted, null without one.
SELECT MAX(bucket_id) FROM bucket_usage WHERE bucket_name = :bucket_name
