-- insert_intent: a piece is about to be written. One row changed; a storage key is used once ever.
INSERT INTO pending_objects (intent_id, backend_id, storage_key, instance_id, renewed_at_us)
VALUES (:intent_id, :backend_id, :storage_key, :instance_id, :now_us)
