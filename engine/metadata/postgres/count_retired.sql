-- count_retired: one row: what waits for the reaper, and what it stopped at.
SELECT COUNT(*) FILTER (WHERE problem IS NULL), COUNT(*) FILTER (WHERE problem IS NOT NULL) FROM retired
