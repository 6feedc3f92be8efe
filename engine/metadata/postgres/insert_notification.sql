-- insert_notification: an event to send, due at once. One row changed.
INSERT INTO notification_outbox (event_id, type, payload, target, next_retry_us)
VALUES (:event_id, :type, :payload, :target, :now_us)
