-- count_repairs: of each kind with any, how many wait, since when, how many of these failed at least once, how many
-- ended of late, and of those in microseconds how long all took and the slowest one. At most one row a kind.
SELECT kind,
    COUNT(*) FILTER (WHERE ended_at_us IS NULL),
    MIN(detected_at_us) FILTER (WHERE ended_at_us IS NULL),
    COUNT(*) FILTER (WHERE ended_at_us IS NULL AND attempt_count > 0),
    COUNT(ended_at_us),
    CAST(COALESCE(SUM(ended_at_us - detected_at_us), 0) AS BIGINT),
    COALESCE(MAX(ended_at_us - detected_at_us), 0)
FROM repair_jobs
GROUP BY kind
