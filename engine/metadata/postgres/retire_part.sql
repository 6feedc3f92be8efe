-- retire_part: a re-sent part takes its place. One row changed.
UPDATE multipart_parts SET state = 'retired' WHERE part_seq = :part_seq
