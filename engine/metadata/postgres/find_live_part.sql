-- find_live_part: at most one row: the standing part of that number.
SELECT part_seq, size_bytes FROM multipart_parts
WHERE upload_id = :upload_id AND part_number = :part_number AND state = 'live'
