-- insert_blob: a blob whose pieces stand. One row changed.
INSERT INTO blobs (blob_id, size_bytes, stored_bytes, content_hash, dedup_domain, scheme, key_id, wrapped_dek,
    frame_bytes, block_crcs, created_at_us)
VALUES (:blob_id, :size_bytes, :stored_bytes, :content_hash, :dedup_domain, :scheme, :key_id, :wrapped_dek,
    :frame_bytes, :block_crcs, :now_us)
