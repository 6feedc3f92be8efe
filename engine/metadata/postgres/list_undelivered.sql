-- list_undelivered: at most :count_max events behind an id that were given up, of a target and before a time where these
-- are not null.
SELECT event_id, type, payload, target, attempts, last_error, died_at_us
FROM notification_dlq
WHERE event_id > :after AND (:target::text IS NULL OR target = :target)
    AND (:died_before_us::bigint IS NULL OR died_at_us < :died_before_us)
ORDER BY event_id
LIMIT :count_max
