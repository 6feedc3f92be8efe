-- postpone_notification: a try failed, the next one is later. One row changed, or none when it has gone.
UPDATE notification_outbox
SET attempts = attempts + 1, next_retry_us = :next_retry_us, last_error = :error
WHERE event_id = :event_id
