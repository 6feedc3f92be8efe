-- next_part_of_upload: at most one row: any part row of an upload.
SELECT part_seq FROM multipart_parts WHERE upload_id = :upload_id ORDER BY part_seq LIMIT 1
