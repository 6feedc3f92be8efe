-- sum_bucket_bytes: one row: what the live versions and open parts of a bucket hold, and how many versions.
SELECT
    (SELECT COALESCE(SUM(size_bytes), 0)::bigint FROM object_versions WHERE bucket_id = :bucket_id)
    + (SELECT COALESCE(SUM(p.size_bytes), 0)::bigint FROM multipart_parts AS p
        JOIN multipart_uploads AS u ON u.upload_id = p.upload_id
        WHERE u.bucket_id = :bucket_id AND p.state = 'live'),
    (SELECT COUNT(*) FROM object_versions WHERE bucket_id = :bucket_id)
