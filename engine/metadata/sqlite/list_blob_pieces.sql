-- list_blob_pieces: the pieces of a blob in order, with the blob.
SELECT l.blob_id, l.piece_index, l.backend_id, l.storage_key, l.stored_bytes, l.card_key_id, l.state, l.verified_at_us,
    b.size_bytes, b.stored_bytes, b.scheme, b.key_id, b.wrapped_dek, b.frame_bytes, b.block_crcs, b.content_hash,
    b.dedup_domain
FROM object_locations AS l
JOIN blobs AS b ON b.blob_id = l.blob_id
WHERE l.blob_id = :blob_id
ORDER BY l.piece_index
