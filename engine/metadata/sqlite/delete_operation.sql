-- delete_operation: an ended operation is forgotten. One row changed, or none while it is open.
DELETE FROM operations
WHERE name = :name AND finished_at_us IS NOT NULL
