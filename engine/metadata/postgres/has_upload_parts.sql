-- has_upload_parts: one row while any part row of the upload is left.
SELECT 1 FROM multipart_parts WHERE upload_id = :upload_id LIMIT 1
