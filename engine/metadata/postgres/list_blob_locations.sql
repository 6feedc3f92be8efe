-- list_blob_locations: the pieces of one blob in order.
SELECT piece_index, backend_id, storage_key, stored_bytes, card_key_id, state
FROM object_locations
WHERE blob_id = :blob_id
ORDER BY piece_index
