-- list_versions_of_blob: at most :count_max live versions that are a blob whole, with all that their image tells.
SELECT version_seq, bucket_id, object_key, version_id, size_bytes, etag, account_id, created_at_us, content_type, headers,
    user_metadata, tags, storage_class, checksums, part_count
FROM object_versions
WHERE blob_id = :blob_id AND state = 'live'
ORDER BY version_seq
LIMIT :count_max
