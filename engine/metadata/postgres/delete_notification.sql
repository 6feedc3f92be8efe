-- delete_notification: an event that arrived or was given up. One row changed, or none when it had gone before.
DELETE FROM notification_outbox WHERE event_id = :event_id
