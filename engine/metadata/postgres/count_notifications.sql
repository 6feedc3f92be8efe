-- count_notifications: events that wait, and dead letters. One row.
SELECT (SELECT count(*) FROM notification_outbox), (SELECT count(*) FROM notification_dlq)
