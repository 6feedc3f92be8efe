-- touch_bucket: a document of the bucket changes: who remembers documents by its revision reads again. One row changed.
UPDATE buckets SET revision = revision + 1 WHERE bucket_id = :bucket_id
