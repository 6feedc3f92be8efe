-- insert_version: a version becomes the key's current one. One row out.
-- The partial unique index makes a second current version impossible, whatever the callers do.
INSERT INTO object_versions (bucket_id, object_key, version_id, is_current, is_delete_marker, size_bytes, etag,
    content_type, headers, user_metadata, tags, checksums, part_count, storage_class, sse_kind, account_id, created_at_us,
    blob_id)
VALUES (:bucket_id, :object_key, :version_id, 1, :is_delete_marker, :size_bytes, :etag, :content_type, :headers,
    :user_metadata, :tags, :checksums, :part_count, :storage_class, :sse_kind, :account_id, :now_us, :blob_id)
RETURNING version_seq, bucket_id, object_key
