-- is_key_accounted_for: one row when a location, an intent or a wait for deletion, buried ones included, names this key.
SELECT 1
WHERE EXISTS (SELECT 1 FROM object_locations WHERE backend_id = :backend_id AND storage_key = :storage_key)
    OR EXISTS (SELECT 1 FROM pending_objects WHERE backend_id = :backend_id AND storage_key = :storage_key)
    OR EXISTS (SELECT 1 FROM cleanup_queue WHERE backend_id = :backend_id AND storage_key = :storage_key)
    OR EXISTS (SELECT 1 FROM cleanup_dlq WHERE backend_id = :backend_id AND storage_key = :storage_key)
