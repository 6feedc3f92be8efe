-- sum_open_parts: one row: what the parts of a bucket's open uploads hold.
SELECT COALESCE(SUM(p.size_bytes), 0)
FROM multipart_uploads AS u
JOIN multipart_parts AS p ON p.upload_id = u.upload_id
WHERE u.bucket_id = :bucket_id AND p.state = 'live'
