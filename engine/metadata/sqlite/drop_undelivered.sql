-- drop_undelivered: at most :count_max events that were given up before a time are kept no longer.
DELETE FROM notification_dlq WHERE event_id IN (
    SELECT event_id FROM notification_dlq WHERE died_at_us < :before_us ORDER BY died_at_us LIMIT :count_max
)
