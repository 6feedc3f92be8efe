-- find_last_usage_look: one row: when the newest recorded hour of any backend began, null before the first.
SELECT MAX(starts_us) FROM usage_history WHERE step = 'hour'
