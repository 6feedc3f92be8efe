-- finish_upload: one way out of open. One row changed, or none when somebody else was first.
UPDATE multipart_uploads
SET state = :state, finished_bucket_id = bucket_id, bucket_id = NULL, parts_digest = :parts_digest, result = :result,
    finished_at_us = :now_us
WHERE upload_id = :upload_id AND state = 'open'
