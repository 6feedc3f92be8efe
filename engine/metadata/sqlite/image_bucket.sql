-- image_bucket: a bucket as its journal image tells it. One row.
SELECT bucket_id, name, account_id, created_at_us, versioning, object_lock, scheme, seal, dedup, quota_bytes, revision,
    origin
FROM buckets WHERE bucket_id = :bucket_id
