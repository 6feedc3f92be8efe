-- delete_part_segments: the segments up to an ordinal are gone.
DELETE FROM multipart_part_segments WHERE part_seq = :part_seq AND ordinal <= :ordinal
