-- insert_segments_of_parts: the segments of the listed parts become the version's, in order, with cumulative offsets.
-- :parts is a JSON array of [part_seq, part_number, start_offset, digest or null]. As many rows changed as the parts have
-- segments.
-- OFFSET 0 has each part looked up by its number: a plan made while there are few rows would walk the segments of all
-- uploads, and is kept while they become many.
INSERT INTO object_segments (version_seq, ordinal, start_offset, blob_id, blob_offset, length, part_number, part_digest)
SELECT :version_seq,
    ROW_NUMBER() OVER (ORDER BY (p.value ->> 1)::bigint, s.ordinal) - 1,
    (p.value ->> 2)::bigint + s.start_offset, s.blob_id, 0, s.length, (p.value ->> 1)::bigint,
    CASE WHEN s.ordinal = 0 THEN p.value ->> 3 END
FROM json_array_elements(:parts::json) AS p (value)
CROSS JOIN LATERAL (
    SELECT m.ordinal, m.start_offset, m.blob_id, m.length FROM multipart_part_segments AS m
    WHERE m.part_seq = (p.value ->> 0)::bigint
    OFFSET 0
) AS s
