-- The notifier asks for what is due, however much waits.

CREATE INDEX notification_outbox_due ON notification_outbox (next_retry_us, event_id);
