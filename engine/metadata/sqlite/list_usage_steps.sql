-- list_usage_steps: hours or days of a subject from a time on, the oldest first, at most :count_max rows.
SELECT starts_us, used, stored_bytes FROM usage_history
WHERE subject = :subject AND step = :step AND starts_us >= :since_us
ORDER BY starts_us LIMIT :count_max
