-- insert_segments_of_parts: the segments of the listed parts become the version's, in order, with cumulative offsets.
-- :parts is a JSON array of [part_seq, part_number, start_offset, digest or null]. As many rows changed as the parts have
-- segments.
INSERT INTO object_segments (version_seq, ordinal, start_offset, blob_id, blob_offset, length, part_number, part_digest)
SELECT :version_seq,
    ROW_NUMBER() OVER (ORDER BY p.value ->> 1, s.ordinal) - 1,
    (p.value ->> 2) + s.start_offset, s.blob_id, 0, s.length, p.value ->> 1,
    CASE WHEN s.ordinal = 0 THEN p.value ->> 3 END
FROM json_each(:parts) AS p
JOIN multipart_part_segments AS s ON s.part_seq = p.value ->> 0
