-- mark_piece_verified: all bytes of a piece were just read and are good. One row changed, or none when it moved meanwhile.
UPDATE object_locations SET verified_at_us = :now_us, state = 'live'
WHERE blob_id = :blob_id AND piece_index = :piece_index AND backend_id = :backend_id AND storage_key = :storage_key
