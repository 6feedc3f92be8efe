-- list_history: at most :count_max versions of a bucket in a range of keys behind a key, by key and then newest
-- first, markers included. The partial index object_versions_history gives the order.
SELECT object_key, size_bytes, etag, storage_class, created_at_us, checksums, version_seq, version_id, is_current,
    is_delete_marker
FROM object_versions
WHERE bucket_id = :bucket_id AND state = 'live' AND object_key > :after AND object_key < :before
ORDER BY object_key, version_seq DESC
LIMIT :count_max
