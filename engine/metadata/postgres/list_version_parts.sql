-- list_version_parts: at most :count_max parts of a version that hold bytes, after a number, in order, with sizes and digests.
SELECT part_number, CAST(SUM(length) AS BIGINT), MAX(part_digest)
FROM object_segments
WHERE version_seq = :version_seq AND part_number > :after
GROUP BY part_number
ORDER BY part_number
LIMIT :count_max
