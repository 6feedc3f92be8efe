-- put_off_cleanup: a claimed row was not tried: it is open again, due no earlier than :due_us. One row changed.
UPDATE cleanup_queue
SET next_retry_us = MAX(next_retry_us, :due_us), claimed_by = NULL, claimed_at_us = NULL,
    claimed_under = NULL, claim_token = NULL
WHERE cleanup_id = :cleanup_id
