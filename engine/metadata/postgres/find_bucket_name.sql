-- find_bucket_name: at most one row: what the bucket of a number is called now.
SELECT name FROM buckets WHERE bucket_id = :bucket_id
