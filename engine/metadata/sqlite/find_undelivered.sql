-- find_undelivered: an event that was given up, by its id. One row, or none.
SELECT event_id, type, payload, target, attempts, last_error, died_at_us
FROM notification_dlq
WHERE event_id = :event_id
