-- find_operation: at most one row, by name.
SELECT name, method, target, request, state, progress, cursor, cancel_requested, warnings, result, error, error_reason,
    creator, request_id, cancelled_by, holder, created_at_us, started_at_us, finished_at_us
FROM operations
WHERE name = :name
