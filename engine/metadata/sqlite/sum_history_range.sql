-- sum_history_range: as sum_current_range, of all versions and delete markers, keys counted whole: none at all when the first
-- one has more than :count_max.
WITH edge AS (
    SELECT object_key FROM object_versions
    WHERE bucket_id = :bucket_id AND state = 'live'
        AND object_key >= :start AND object_key < :before
    ORDER BY object_key
    LIMIT 1 OFFSET :count_max
)
SELECT COUNT(*), COALESCE(SUM(size_bytes), 0), (SELECT object_key FROM edge)
FROM object_versions
WHERE bucket_id = :bucket_id AND state = 'live'
    AND object_key >= :start AND object_key < COALESCE((SELECT object_key FROM edge), :before)
