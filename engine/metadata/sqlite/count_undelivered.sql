-- count_undelivered: one row: how many events list_undelivered would give.
SELECT COUNT(*)
FROM notification_dlq
WHERE (:target IS NULL OR target = :target)
    AND (:died_before_us IS NULL OR died_at_us < :died_before_us)
