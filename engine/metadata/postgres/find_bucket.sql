-- find_bucket: at most one row, by its unique name.
SELECT b.bucket_id, b.name, b.account_id, a.name, b.created_at_us, b.versioning, b.object_lock, b.scheme, b.seal,
    b.quota_bytes, b.revision, b.origin
FROM buckets AS b
JOIN accounts AS a ON a.account_id = b.account_id
WHERE b.name = :name
