-- sum_sealed_pieces: a row for each backend and ring key, null for none, with the bytes that pieces of a range of blobs occupy.
SELECT l.backend_id, b.key_id, SUM(l.stored_bytes)::bigint
FROM blobs AS b
JOIN object_locations AS l ON l.blob_id = b.blob_id
WHERE b.blob_id > :after AND b.blob_id <= :last
GROUP BY l.backend_id, b.key_id
