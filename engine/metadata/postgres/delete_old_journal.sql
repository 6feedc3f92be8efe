-- delete_old_journal: at most :count_max images older than :before_us are gone, the oldest first.
-- An array is made once; a subselect might be run again for each row, and then its limit would hold for none.
DELETE FROM journal
WHERE seq = ANY (ARRAY (SELECT seq FROM journal WHERE created_at_us < :before_us ORDER BY seq LIMIT :count_max
))
