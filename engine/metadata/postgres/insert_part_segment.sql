-- insert_part_segment: a blob of a part. One row changed.
INSERT INTO multipart_part_segments (part_seq, ordinal, start_offset, blob_id, length)
VALUES (:part_seq, :ordinal, :start_offset, :blob_id, :length)
