-- list_owners_of_blob: at most :count_max versions that a blob is part of, the oldest first.
SELECT b.name, v.object_key, v.version_id, v.version_seq, v.size_bytes, v.is_current
FROM object_versions AS v
JOIN buckets AS b ON b.bucket_id = v.bucket_id
WHERE v.state = 'live' AND v.version_seq IN (
    SELECT version_seq FROM object_versions WHERE blob_id = :blob_id
    UNION
    SELECT version_seq FROM object_segments WHERE blob_id = :blob_id
)
ORDER BY v.version_seq
LIMIT :count_max
