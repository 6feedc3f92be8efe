-- switch_location: compare and set of a piece's place. One row changed, or none when somebody else moved it.
UPDATE object_locations
SET backend_id = :backend_id, storage_key = :storage_key, stored_bytes = :stored_bytes, card_key_id = :card_key_id,
    state = 'live', verified_at_us = :now_us
WHERE blob_id = :blob_id AND piece_index = :piece_index AND backend_id = :old_backend_id
    AND storage_key = :old_storage_key
