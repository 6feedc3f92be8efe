-- find_version: as find_current_version, of the version of that id.
-- The bucket's id is looked up apart, for the reason given there.
SELECT b.bucket_id, b.account_id, a.name, b.created_at_us, b.versioning, b.object_lock, b.scheme, b.seal,
    b.quota_bytes, b.revision, b.origin,
    v.version_seq, v.version_id, v.is_delete_marker, v.size_bytes, v.etag, v.content_type, v.headers, v.user_metadata,
    v.tags, v.checksums, v.part_count, v.storage_class, v.sse_kind, v.account_id, v.created_at_us, v.blob_id,
    o.stored_bytes, o.scheme, o.key_id, o.wrapped_dek, o.frame_bytes, o.block_crcs, o.content_hash, o.dedup_domain,
    l.piece_index, l.backend_id, l.storage_key, l.stored_bytes, l.card_key_id, l.state
FROM buckets AS b
JOIN accounts AS a ON a.account_id = b.account_id
LEFT JOIN object_versions AS v ON v.bucket_id = (SELECT n.bucket_id FROM buckets AS n WHERE n.name = :bucket)
    AND v.object_key = :object_key AND v.state = 'live'
    AND v.version_id = :version_id
LEFT JOIN blobs AS o ON o.blob_id = v.blob_id
LEFT JOIN object_locations AS l ON l.blob_id = o.blob_id
WHERE b.name = :bucket
ORDER BY l.piece_index
