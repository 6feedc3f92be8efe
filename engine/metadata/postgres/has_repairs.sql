-- has_repairs: one row if any blob waits for a repair.
SELECT 1 FROM repair_jobs WHERE ended_at_us IS NULL LIMIT 1
