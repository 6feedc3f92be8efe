-- list_stale_uploads: at most :count_max open uploads that began before a time.
SELECT upload_id, bucket_id FROM multipart_uploads
WHERE bucket_id IS NOT NULL AND state = 'open' AND created_at_us < :before_us
LIMIT :count_max
