-- count_retired: one row: what waits for the reaper, and what it stopped at.
SELECT COALESCE(SUM(problem IS NULL), 0), COALESCE(SUM(problem IS NOT NULL), 0) FROM retired
