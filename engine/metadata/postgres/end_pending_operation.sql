-- end_pending_operation: what was accepted and has not begun never will. One row changed, or none when it has begun.
UPDATE operations
SET state = 'cancelled', finished_at_us = :now_us
WHERE name = :name AND state = 'pending'
