-- lock_bucket: keep a bucket from being deleted until the commit. At most one row out.
SELECT 1 FROM buckets WHERE name = :bucket FOR KEY SHARE
