-- list_buckets: at most :count_max rows in the order of names.
SELECT b.bucket_id, b.name, b.account_id, a.name, b.created_at_us, b.versioning, b.object_lock, b.scheme, b.seal,
    b.quota_bytes, b.revision, b.origin
FROM buckets AS b
JOIN accounts AS a ON a.account_id = b.account_id
WHERE b.name > :after AND (:account_id::bigint IS NULL OR b.account_id = :account_id)
ORDER BY b.name
LIMIT :count_max
