-- delete_bucket_document: a document of the bucket is gone. One row changed, or none when there was none.
DELETE FROM bucket_configs WHERE bucket_id = :bucket_id AND kind = :kind
