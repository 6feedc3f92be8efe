-- drop_usage_steps: forget hours or days before a time, at most :count_max rows.
DELETE FROM usage_history WHERE (subject, step, starts_us) IN (
    SELECT subject, step, starts_us FROM usage_history
    WHERE step = :step AND starts_us < :before_us
    ORDER BY starts_us LIMIT :count_max
)
