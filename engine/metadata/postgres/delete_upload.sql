-- delete_upload: a finished upload without parts is gone. One row changed, or none.
DELETE FROM multipart_uploads WHERE upload_id = :upload_id AND state <> 'open'
