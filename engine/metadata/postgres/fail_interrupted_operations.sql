-- fail_interrupted_operations: actions on this resource that a dead process left running have failed.
-- As many rows changed as there were; only the holder of the worker's lease may run it.
UPDATE operations
SET state = 'failed', error = 'the process that ran it died', finished_at_us = :now_us
WHERE target = :target AND method = :method AND state = 'running'
