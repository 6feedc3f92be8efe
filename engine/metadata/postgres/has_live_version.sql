-- has_live_version: one row when the bucket holds a version, markers included; none when it is empty.
SELECT 1 FROM object_versions WHERE bucket_id = :bucket_id LIMIT 1
