-- update_bucket_settings: what a configuration generation says about a bucket. One row changed.
UPDATE buckets
SET scheme = :scheme, seal = :seal, quota_bytes = :quota_bytes, revision = revision + 1
WHERE bucket_id = :bucket_id
