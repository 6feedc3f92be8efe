-- sum_version_page: one row: bytes and count of at most :count_max versions of a bucket after one, by key and then newest
-- first, and the last of them.
SELECT COALESCE(SUM(size_bytes), 0)::bigint, COUNT(*), (ARRAY_AGG(object_key ORDER BY object_key DESC, version_seq))[1],
    (ARRAY_AGG(version_seq ORDER BY object_key DESC, version_seq))[1]
FROM (
    SELECT size_bytes, object_key, version_seq FROM object_versions
    WHERE bucket_id = :bucket_id AND object_key >= :after_key
        AND (object_key > :after_key OR version_seq < :after_seq)
    ORDER BY object_key, version_seq DESC
    LIMIT :count_max
) AS page
