-- find_last_usage_step: the newest recorded hour or day of a subject, at most one row.
SELECT starts_us, used, used_of_month FROM usage_history
WHERE subject = :subject AND step = :step
ORDER BY starts_us DESC LIMIT 1
