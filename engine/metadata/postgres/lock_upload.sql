-- lock_upload: an upload is to be finished: wait for parts on their way. At most one row out.
SELECT 1 FROM multipart_uploads WHERE upload_id = :upload_id FOR UPDATE
