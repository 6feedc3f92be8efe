-- claim_operation: somebody takes an open operation up. One row out, or none when it has ended.
UPDATE operations
SET state = 'running', started_at_us = COALESCE(started_at_us, :now_us), holder = :holder, claim_count = claim_count + 1
WHERE name = :name AND state IN ('pending', 'running')
RETURNING claim_count
