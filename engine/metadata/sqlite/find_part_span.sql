-- find_part_span: exactly one row: where a part of a version begins and how long it is, null when there is none. All
-- segments of the version are walked; objects have at most some ten thousand of them.
SELECT MIN(start_offset), CAST(SUM(length) AS BIGINT)
FROM object_segments
WHERE version_seq = :version_seq AND part_number = :part_number
