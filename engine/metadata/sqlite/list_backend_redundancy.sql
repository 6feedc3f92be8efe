-- list_backend_redundancy: pieces of a backend after a storage key, in the order of keys, each with one piece of its blob
-- a row, itself among them. At most :count_max pieces.
SELECT p.storage_key, p.blob_id, b.scheme, l.backend_id, l.state
FROM (
    SELECT storage_key, blob_id FROM object_locations
    WHERE backend_id = :backend_id AND storage_key > :after
    ORDER BY storage_key
    LIMIT :count_max
) AS p
JOIN blobs AS b ON b.blob_id = p.blob_id
JOIN object_locations AS l ON l.blob_id = p.blob_id
ORDER BY p.storage_key
