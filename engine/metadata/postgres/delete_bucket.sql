-- delete_bucket: the bucket is gone. One row changed; references from versions and uploads forbid it otherwise.
DELETE FROM buckets WHERE bucket_id = :bucket_id
