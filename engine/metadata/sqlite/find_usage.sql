-- find_usage: one row, what was taken in a month and the limit on it; null: none.
SELECT u.taken, l.amount
FROM backend_usage AS u
LEFT JOIN usage_limits AS l ON l.backend_id = u.backend_id AND l.kind = u.kind
WHERE u.backend_id = :backend_id AND u.period = :period AND u.kind = :kind
