-- set_bucket_versioning: the bucket's versioning state. One row changed.
UPDATE buckets SET versioning = :versioning, revision = revision + 1 WHERE bucket_id = :bucket_id
