-- insert_imported_location: an object that was there before us, under its own key. One row changed.
INSERT INTO object_locations (blob_id, piece_index, backend_id, storage_key, stored_bytes, state, origin, verified_at_us)
VALUES (:blob_id, 0, :backend_id, :storage_key, :stored_bytes, 'live', 'imported', :now_us)
