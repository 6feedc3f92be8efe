-- list_version_slices: at most :count_max slices of a version from an ordinal on, with their blobs.
SELECT s.ordinal, s.start_offset, s.blob_id, s.blob_offset, s.length, s.part_number,
    o.size_bytes, o.stored_bytes, o.scheme, o.key_id, o.wrapped_dek, o.frame_bytes, o.block_crcs, o.content_hash,
    o.dedup_domain
FROM object_segments AS s
JOIN blobs AS o ON o.blob_id = s.blob_id
WHERE s.version_seq = :version_seq AND s.ordinal > :after_ordinal
ORDER BY s.ordinal
LIMIT :count_max
