-- requeue_notification: an event that was given up gets all its tries again, from now on. One row changed, or none.
INSERT INTO notification_outbox (event_id, type, payload, target, attempts, next_retry_us, last_error)
SELECT event_id, type, payload, target, 0, CAST(:now_us AS BIGINT), last_error FROM notification_dlq WHERE event_id = :event_id
ON CONFLICT (event_id) DO NOTHING
