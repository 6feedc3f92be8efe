-- delete_blob_locations: nothing points at the blob, its pieces are to be deleted. One row out a piece.
DELETE FROM object_locations WHERE blob_id = :blob_id RETURNING backend_id, storage_key, stored_bytes
