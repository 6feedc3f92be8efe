-- find_operation: at most one row, by name.
SELECT name, method, target, state, progress, error, created_at_us, finished_at_us
FROM operations
WHERE name = :name
