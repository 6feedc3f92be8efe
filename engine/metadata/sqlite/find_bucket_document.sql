-- find_bucket_document: at most one row, by the primary key.
SELECT document FROM bucket_configs WHERE bucket_id = :bucket_id AND kind = :kind
