-- image_bucket_document: a bucket's document as its journal image tells it. One row.
SELECT bucket_id, kind, document, revision FROM bucket_configs WHERE bucket_id = :bucket_id AND kind = :kind
