-- list_due_notifications: at most :count_max events that may be sent now, the longest due first.
SELECT event_id, type, payload, target, attempts
FROM notification_outbox
WHERE next_retry_us <= :now_us
ORDER BY next_retry_us, event_id
LIMIT :count_max
