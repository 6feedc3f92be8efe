-- finish_operation: an operation has ended. One row changed; only the holder of its lease may run it.
UPDATE operations
SET state = :state, cursor = NULL, progress = :progress, warnings = :warnings, result = :result, error = :error,
    error_reason = :error_reason, finished_at_us = :now_us
WHERE name = :name AND state = 'running'
