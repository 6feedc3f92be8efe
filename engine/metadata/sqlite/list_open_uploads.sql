-- list_open_uploads: at most :count_max open uploads of a bucket after (key, upload id), in that order.
SELECT u.upload_id, u.bucket_id, u.object_key, u.account_id, a.name, u.content_type, u.headers, u.user_metadata,
    u.tags, u.storage_class, u.checksum_algorithm, u.checksum_type, u.scheme, u.is_sealed, u.created_at_us
FROM multipart_uploads AS u
JOIN accounts AS a ON a.account_id = u.account_id
WHERE u.bucket_id = :bucket_id AND u.state = 'open' AND u.object_key >= :after_key AND u.object_key < :before
    AND (u.object_key > :after_key OR u.upload_id > :after_upload_id)
ORDER BY u.object_key, u.upload_id
LIMIT :count_max
