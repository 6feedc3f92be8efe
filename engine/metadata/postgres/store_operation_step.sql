-- store_operation_step: how far an operation is. One row out; only the holder of its lease may run it.
UPDATE operations
SET cursor = :cursor, progress = :progress, warnings = :warnings, claim_count = 0
WHERE name = :name AND state = 'running'
RETURNING cancel_requested
