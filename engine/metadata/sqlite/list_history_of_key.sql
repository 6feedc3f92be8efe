-- list_history_of_key: at most :count_max versions of one key that are older than one of them, newest first.
SELECT object_key, size_bytes, etag, storage_class, created_at_us, checksums, version_seq, version_id, is_current,
    is_delete_marker
FROM object_versions
WHERE bucket_id = :bucket_id AND state = 'live' AND object_key = :object_key AND version_seq < :before_seq
ORDER BY version_seq DESC
LIMIT :count_max
