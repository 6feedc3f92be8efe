-- begin_operations: accepted actions on this resource are at work now. As many rows changed as were pending.
UPDATE operations
SET state = 'running', started_at_us = :now_us
WHERE target = :target AND method = :method AND state = 'pending'
RETURNING name
