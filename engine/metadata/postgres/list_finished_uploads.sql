-- list_finished_uploads: at most :count_max uploads that ended before a time.
SELECT upload_id FROM multipart_uploads
WHERE state <> 'open' AND finished_at_us < :before_us
ORDER BY finished_at_us
LIMIT :count_max
