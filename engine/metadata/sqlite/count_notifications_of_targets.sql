-- count_notifications_of_targets: of each target with any: events that wait, dead letters, the most tries of one that
-- waits, and what one of the tries that failed came to. One row a target, by name.
SELECT target, CAST(SUM(waiting) AS BIGINT), CAST(SUM(dead) AS BIGINT), MAX(tries), MAX(error)
FROM (
    SELECT target, COUNT(*) AS waiting, 0 AS dead, MAX(attempts) AS tries, MAX(last_error) AS error
    FROM notification_outbox
    GROUP BY target
    UNION ALL
    SELECT target, 0, COUNT(*), 0, MAX(last_error)
    FROM notification_dlq
    GROUP BY target
) AS counted
GROUP BY target
ORDER BY target
