-- find_open_upload: at most one row: the open upload of that id, if it is for that key of that bucket.
SELECT u.upload_id, u.bucket_id, u.object_key, u.account_id, a.name, u.content_type, u.headers, u.user_metadata,
    u.tags, u.storage_class, u.checksum_algorithm, u.checksum_type, u.scheme, u.is_sealed, u.created_at_us
FROM multipart_uploads AS u
JOIN accounts AS a ON a.account_id = u.account_id
WHERE u.upload_id = :upload_id AND u.bucket_id = :bucket_id AND u.object_key = :object_key AND u.state = 'open'
