-- Events that were given up are kept for a time, and those past it are found at once.

CREATE INDEX notification_dlq_died ON notification_dlq (died_at_us);
