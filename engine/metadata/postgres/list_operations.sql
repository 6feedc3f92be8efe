-- list_operations: what is known of operations, the newest first, at most :count_max rows; nulls ask for all.
SELECT name, method, target, request, state, progress, cursor, cancel_requested, warnings, result, error, error_reason,
    creator, request_id, cancelled_by, holder, created_at_us, started_at_us, finished_at_us
FROM operations
WHERE (:state::text IS NULL OR state = :state) AND (:method::text IS NULL OR method = :method)
    AND (:target::text IS NULL OR target = :target)
    AND (:before_us::bigint IS NULL OR created_at_us < :before_us OR (created_at_us = :before_us AND name < :before_name))
ORDER BY created_at_us DESC, name DESC
LIMIT :count_max
