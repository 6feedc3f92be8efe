-- find_for_write: a bucket, and of a key's current version what a write looks at, null when there is none. At most one row.
-- Last the bucket's notification rules, null when it has none.
-- The bucket's id is looked up apart: a plan made while there are few rows would compare it after having walked the
-- whole index, and is kept while they become many.
SELECT b.bucket_id, b.name, b.account_id, a.name, b.created_at_us, b.versioning, b.object_lock, b.scheme, b.seal,
    b.quota_bytes, b.revision, b.origin,
    v.version_seq, v.version_id, v.etag, v.size_bytes, v.is_delete_marker, v.retention_mode, v.retain_until_us,
    v.legal_hold,
    (SELECT c.document FROM bucket_configs AS c WHERE c.bucket_id = b.bucket_id AND c.kind = 'notification')
FROM buckets AS b
JOIN accounts AS a ON a.account_id = b.account_id
LEFT JOIN object_versions AS v ON v.bucket_id = (SELECT n.bucket_id FROM buckets AS n WHERE n.name = :bucket)
    AND v.object_key = :object_key AND v.is_current
WHERE b.name = :bucket
