-- correct_piece_size: what a piece occupies, as its record says. One row changed, or none when it moved meanwhile.
UPDATE object_locations SET stored_bytes = :stored_bytes
WHERE blob_id = :blob_id AND piece_index = :piece_index AND backend_id = :backend_id AND storage_key = :storage_key
    AND stored_bytes = :told_bytes
