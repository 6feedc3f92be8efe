-- find_part_span: exactly one row: where a part of a version begins, how long it is, its digest, null when there is none. All
-- segments of the version are walked; objects have at most some ten thousand of them.
SELECT MIN(start_offset), CAST(SUM(length) AS BIGINT), MAX(part_digest)
FROM object_segments
WHERE version_seq = :version_seq AND part_number = :part_number
