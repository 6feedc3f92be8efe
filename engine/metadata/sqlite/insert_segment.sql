-- insert_segment: a slice of a version. One row changed; the blob's reference fails if the reaper won.
INSERT INTO object_segments (version_seq, ordinal, start_offset, blob_id, blob_offset, length, part_number, part_digest)
VALUES (:version_seq, :ordinal, :start_offset, :blob_id, :blob_offset, :length, :part_number, :part_digest)
