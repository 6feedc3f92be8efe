-- insert_location: a piece that stands. One row changed; a storage key is used once ever.
INSERT INTO object_locations (blob_id, piece_index, backend_id, storage_key, stored_bytes, card_key_id, state,
    verified_at_us)
VALUES (:blob_id, :piece_index, :backend_id, :storage_key, :stored_bytes, :card_key_id, 'live', :now_us)
