-- find_operation_by_request: what a request of that id started. At most one row.
SELECT name, method, target, request, state, progress, cursor, cancel_requested, warnings, result, error, error_reason,
    creator, request_id, cancelled_by, holder, created_at_us, started_at_us, finished_at_us
FROM operations
WHERE method = :method AND request_id = :request_id
