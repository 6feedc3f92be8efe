-- find_blob: at most one row.
SELECT size_bytes, stored_bytes, scheme, key_id, wrapped_dek, frame_bytes, block_crcs, content_hash, dedup_domain
FROM blobs WHERE blob_id = :blob_id
