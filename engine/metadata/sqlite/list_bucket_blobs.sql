-- list_bucket_blobs: at most :count_max blobs that versions of a bucket are made of, by key, newest version and slice, after
-- one of them and before a key.
SELECT v.object_key, v.version_seq, COALESCE(s.ordinal, 0), COALESCE(v.blob_id, s.blob_id)
FROM object_versions AS v
LEFT JOIN object_segments AS s ON s.version_seq = v.version_seq AND v.blob_id IS NULL
WHERE v.bucket_id = :bucket_id AND v.object_key >= :after_key AND v.object_key < :before_key
    AND (v.object_key > :after_key OR v.version_seq < :after_seq
        OR (v.version_seq = :after_seq AND s.ordinal > :after_ordinal))
ORDER BY v.object_key, v.version_seq DESC, s.ordinal
LIMIT :count_max
