-- set_location_state: whether reads may trust a piece. One row changed, or none when it moved meanwhile.
UPDATE object_locations SET state = :state
WHERE blob_id = :blob_id AND piece_index = :piece_index AND storage_key = :storage_key
