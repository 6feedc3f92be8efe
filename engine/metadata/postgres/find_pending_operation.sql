-- find_pending_operation: the action that was accepted for this resource and has not begun; at most one row,
-- since whoever accepts one looks here first in the same transaction.
SELECT name, method, target, request, state, progress, cursor, cancel_requested, warnings, result, error, error_reason,
    creator, request_id, cancelled_by, holder, created_at_us, started_at_us, finished_at_us
FROM operations
WHERE target = :target AND method = :method AND state = 'pending'
