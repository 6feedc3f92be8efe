-- drop_operations: ended operations are forgotten that ended before a time or are not among the newest :keep_count.
-- At most :count_max rows changed, those that ended first.
DELETE FROM operations
WHERE name IN (
    SELECT name FROM operations
    WHERE finished_at_us IS NOT NULL AND (
        finished_at_us < :before_us OR finished_at_us <= (
            SELECT finished_at_us FROM operations WHERE finished_at_us IS NOT NULL
            ORDER BY finished_at_us DESC LIMIT 1 OFFSET :keep_count
        )
    )
    ORDER BY finished_at_us
    LIMIT :count_max
)
