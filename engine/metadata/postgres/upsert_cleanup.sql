-- upsert_cleanup: an exact storage key is to be deleted. One row changed; a key that waits already waits on.
INSERT INTO cleanup_queue (backend_id, storage_key, reason, size_bytes, not_before_us, next_retry_us)
VALUES (:backend_id, :storage_key, :reason, :size_bytes, :not_before_us, :not_before_us)
ON CONFLICT (backend_id, storage_key) DO NOTHING
