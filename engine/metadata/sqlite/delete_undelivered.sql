-- delete_undelivered: an event that was given up is given up for good, or waits again. One row changed, or none.
DELETE FROM notification_dlq WHERE event_id = :event_id
