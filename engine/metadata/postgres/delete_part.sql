-- delete_part: a part row without segments is gone. One row changed.
DELETE FROM multipart_parts WHERE part_seq = :part_seq
