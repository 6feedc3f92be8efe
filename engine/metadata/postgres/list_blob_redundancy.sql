-- list_blob_redundancy: blobs after an id, in order, with one of their pieces a row; at least one row a blob.
-- At most :count_max blobs.
SELECT b.blob_id, b.blob_id, b.scheme, l.backend_id, l.state
FROM (SELECT blob_id, scheme FROM blobs WHERE blob_id > :after ORDER BY blob_id LIMIT :count_max) AS b
LEFT JOIN object_locations AS l ON l.blob_id = b.blob_id
ORDER BY b.blob_id
