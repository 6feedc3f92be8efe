-- delete_old_journal: at most :count_max images older than :before_us are gone, the oldest first.
DELETE FROM journal
WHERE seq IN (SELECT seq FROM journal WHERE created_at_us < :before_us ORDER BY seq LIMIT :count_max)
