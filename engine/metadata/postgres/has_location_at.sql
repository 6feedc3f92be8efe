-- has_location_at: one row when a location names exactly this storage key of this backend.
SELECT 1 FROM object_locations WHERE backend_id = :backend_id AND storage_key = :storage_key
