-- sum_sealed_versions: a row for each bucket and ring key, null for none, with the logical bytes that a range of versions has in
-- blobs of it.
SELECT bucket_id, key_id, SUM(size_bytes)
FROM (
    SELECT v.bucket_id, b.key_id, v.size_bytes
    FROM object_versions AS v
    JOIN blobs AS b ON b.blob_id = v.blob_id
    WHERE v.version_seq > :after AND v.version_seq <= :last AND v.state = 'live'
    UNION ALL
    SELECT v.bucket_id, b.key_id, s.length
    FROM object_versions AS v
    JOIN object_segments AS s ON s.version_seq = v.version_seq
    JOIN blobs AS b ON b.blob_id = s.blob_id
    WHERE v.version_seq > :after AND v.version_seq <= :last AND v.state = 'live' AND v.blob_id IS NULL
) AS slices
GROUP BY bucket_id, key_id
