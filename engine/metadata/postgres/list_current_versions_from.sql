-- list_current_versions_from: as list_current_versions, from a key on, that key included.
SELECT object_key, size_bytes, etag, storage_class, created_at_us, checksums
FROM object_versions
WHERE bucket_id = :bucket_id AND is_current AND object_key >= :after AND object_key < :before
    AND is_delete_marker = FALSE
ORDER BY object_key
LIMIT :count_max
