-- list_pieces_with_others: pieces of a backend in the order of their keys, each with one of its blob's other pieces a row.
-- At least one row for a piece, whose other is null when it has none; at most :count_max pieces.
SELECT l.storage_key, l.stored_bytes, o.backend_id, o.state
FROM (
    SELECT storage_key, blob_id, piece_index, stored_bytes
    FROM object_locations
    WHERE backend_id = :backend_id AND storage_key > :after
    ORDER BY storage_key
    LIMIT :count_max
) AS l
LEFT JOIN object_locations AS o ON o.blob_id = l.blob_id AND o.piece_index <> l.piece_index
ORDER BY l.storage_key, o.backend_id
