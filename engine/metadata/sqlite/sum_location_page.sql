-- sum_location_page: one row: bytes and count of at most :count_max locations of a backend after a key, and the last key.
SELECT COALESCE(SUM(stored_bytes), 0), COUNT(*), MAX(storage_key)
FROM (
    SELECT stored_bytes, storage_key FROM object_locations
    WHERE backend_id = :backend_id AND storage_key > :after
    ORDER BY storage_key
    LIMIT :count_max
) AS page
