-- find_open_operation: the long work of this kind on this resource that has not ended. At most one row:
-- a unique index makes a second one impossible.
SELECT name, method, target, request, state, progress, cursor, cancel_requested, warnings, result, error, error_reason,
    creator, request_id, cancelled_by, holder, created_at_us, started_at_us, finished_at_us
FROM operations
WHERE target = :target AND method = :method AND state IN ('pending', 'running')
