-- postpone_cleanup: a try failed, the next one comes later. One row changed.
UPDATE cleanup_queue
SET attempts = attempts + 1, next_retry_us = :next_retry_us, claimed_by = NULL, claimed_at_us = NULL,
    claimed_under = NULL, claim_token = NULL, last_error = :error
WHERE cleanup_id = :cleanup_id
