-- find_finished_upload: at most one row: a completed upload of that id for that key of that bucket.
SELECT parts_digest, result FROM multipart_uploads
WHERE upload_id = :upload_id AND finished_bucket_id = :bucket_id AND object_key = :object_key AND state = 'completed'
