-- lock_bucket_if_free: as lock_bucket, but when somebody changes the bucket, nobody is waited for. One row out when it is locked now, none when
-- it is not or there is none.
SELECT TRUE FROM buckets WHERE name = :bucket FOR KEY SHARE SKIP LOCKED
