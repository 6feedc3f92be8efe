-- list_open_upload_ids: at most :count_max open uploads of a bucket.
SELECT upload_id FROM multipart_uploads WHERE bucket_id = :bucket_id AND state = 'open' LIMIT :count_max
