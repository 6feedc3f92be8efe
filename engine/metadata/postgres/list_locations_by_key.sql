-- list_locations_by_key: at most :count_max locations of a backend in a range of storage keys, in their order.
SELECT blob_id, piece_index, backend_id, storage_key, stored_bytes, card_key_id, state
FROM object_locations
WHERE backend_id = :backend_id AND storage_key > :after AND storage_key < :before
ORDER BY storage_key
LIMIT :count_max
