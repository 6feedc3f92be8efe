-- list_current_versions: at most :count_max current keys of a bucket in a range of keys, in byte order.
-- The partial unique index on (bucket_id, object_key) WHERE is_current gives the order.
SELECT object_key, size_bytes, etag, storage_class, created_at_us, checksums
FROM object_versions
WHERE bucket_id = :bucket_id AND is_current AND object_key > :after AND object_key < :before
    AND is_delete_marker = FALSE
ORDER BY object_key
LIMIT :count_max
