-- delete_location: a piece is named no more. One row changed, or none when it was moved or freed meanwhile.
DELETE FROM object_locations
WHERE blob_id = :blob_id AND piece_index = :piece_index AND backend_id = :backend_id AND storage_key = :storage_key
