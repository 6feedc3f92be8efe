-- bury_notification: an event that did not arrive at the last try becomes a dead letter. One row changed, or none.
INSERT INTO notification_dlq (event_id, type, payload, target, attempts, last_error, died_at_us)
SELECT event_id, type, payload, target, attempts + 1, CAST(:error AS TEXT), CAST(:now_us AS BIGINT) FROM notification_outbox WHERE event_id = :event_id
ON CONFLICT (event_id) DO NOTHING
