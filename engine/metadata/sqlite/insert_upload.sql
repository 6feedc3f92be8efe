-- insert_upload: a multipart upload begins. One row changed.
INSERT INTO multipart_uploads (upload_id, bucket_id, object_key, account_id, content_type, headers, user_metadata,
    tags, storage_class, checksum_algorithm, checksum_type, scheme, is_sealed, created_at_us)
VALUES (:upload_id, :bucket_id, :object_key, :account_id, :content_type, :headers, :user_metadata, :tags, :storage_class,
    :checksum_algorithm, :checksum_type, :scheme, :is_sealed, :now_us)
