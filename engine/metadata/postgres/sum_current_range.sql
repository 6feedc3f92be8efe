-- sum_current_range: one row: how many current keys of a bucket lie in a range of keys and their bytes, at most :count_max of
-- them, and the first key that was not counted; null when there is none.
WITH edge AS (
    SELECT object_key FROM object_versions
    WHERE bucket_id = :bucket_id AND is_current AND is_delete_marker = FALSE
        AND object_key >= :start AND object_key < :before
    ORDER BY object_key
    LIMIT 1 OFFSET :count_max
)
SELECT COUNT(*), COALESCE(SUM(size_bytes), 0)::bigint, (SELECT object_key FROM edge)
FROM object_versions
WHERE bucket_id = :bucket_id AND is_current AND is_delete_marker = FALSE
    AND object_key >= :start AND object_key < COALESCE((SELECT object_key FROM edge), :before)
