-- list_blobs: at most :count_max blobs after an id, in order.
SELECT blob_id, size_bytes, stored_bytes, scheme, key_id, wrapped_dek, frame_bytes, block_crcs, content_hash,
    dedup_domain
FROM blobs
WHERE blob_id > :after
ORDER BY blob_id
LIMIT :count_max
