-- sum_location_bytes: one row: what the locations of a backend hold, and how many they are.
SELECT COALESCE(SUM(stored_bytes), 0)::bigint, COUNT(*) FROM object_locations WHERE backend_id = :backend_id
