-- restore_version: a version as an image tells it, not current yet. One row changed, or none when it is there, live or
-- retired.
INSERT INTO object_versions (version_seq, bucket_id, object_key, version_id, is_current, is_delete_marker, size_bytes,
    etag, content_type, headers, user_metadata, tags, checksums, part_count, storage_class, sse_kind, account_id,
    created_at_us, blob_id)
VALUES (:version_seq, :bucket_id, :object_key, :version_id, FALSE, :is_delete_marker, :size_bytes, :etag,
    :content_type, :headers, :user_metadata, :tags, :checksums, :part_count, :storage_class, :sse_kind, :account_id,
    :created_at_us, :blob_id)
ON CONFLICT (version_seq) DO NOTHING
