-- has_location_in_range: one row when a location's storage key lies in the range.
SELECT 1 FROM object_locations
WHERE backend_id = :backend_id AND storage_key > :after AND storage_key < :before
LIMIT 1
