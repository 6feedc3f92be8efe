-- lock_bucket_for_change: wait for all that write to a bucket, and hold up those that want to. At most one row out.
SELECT 1 FROM buckets WHERE name = :bucket FOR UPDATE
