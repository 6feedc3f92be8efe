-- list_version_segments: all segments of a version in order, as its journal image tells them; at most some 82,000.
SELECT blob_id, blob_offset, length, part_number, part_digest
FROM object_segments
WHERE version_seq = :version_seq
ORDER BY ordinal
