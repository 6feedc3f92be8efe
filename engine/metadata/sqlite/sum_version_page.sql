-- sum_version_page: one row: bytes and count of at most :count_max versions of a bucket after one, by key and then newest
-- first, and the last of them.
SELECT COALESCE(SUM(size_bytes), 0), COUNT(*), MAX(object_key), MIN(version_seq) FILTER (WHERE object_key = last_key)
FROM (
    SELECT size_bytes, object_key, version_seq, MAX(object_key) OVER () AS last_key
    FROM (
        SELECT size_bytes, object_key, version_seq FROM object_versions
        WHERE bucket_id = :bucket_id AND object_key >= :after_key
            AND (object_key > :after_key OR version_seq < :after_seq)
        ORDER BY object_key, version_seq DESC
        LIMIT :count_max
    ) AS ordered
) AS page
