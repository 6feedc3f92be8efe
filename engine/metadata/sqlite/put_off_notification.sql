-- put_off_notification: an event that was not tried waits. One row changed, or none when it has gone.
UPDATE notification_outbox SET next_retry_us = :next_retry_us WHERE event_id = :event_id
