-- cancel_operation: an open operation is asked to stop. One row changed, or none when it has ended.
UPDATE operations
SET cancel_requested = TRUE, cancelled_by = COALESCE(cancelled_by, :creator)
WHERE name = :name AND state IN ('pending', 'running')
