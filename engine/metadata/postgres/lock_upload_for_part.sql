-- lock_upload_for_part: keep an upload from being finished until the commit. At most one row out.
SELECT 1 FROM multipart_uploads WHERE upload_id = :upload_id FOR SHARE
