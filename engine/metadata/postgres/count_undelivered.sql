-- count_undelivered: one row: how many events list_undelivered would give.
SELECT COUNT(*)
FROM notification_dlq
WHERE (:target::text IS NULL OR target = :target)
    AND (:died_before_us::bigint IS NULL OR died_at_us < :died_before_us)
