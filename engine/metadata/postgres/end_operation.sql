-- end_operation: an action has ended. One row changed, or none when it had ended already.
UPDATE operations
SET state = :state, progress = :progress, error = :error, finished_at_us = :now_us
WHERE name = :name AND state = 'running'
