-- delete_cleanup: the piece is gone. One row out, or none when it was settled before.
DELETE FROM cleanup_queue WHERE cleanup_id = :cleanup_id RETURNING backend_id, storage_key, size_bytes
