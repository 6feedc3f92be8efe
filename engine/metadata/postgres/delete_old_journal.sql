-- delete_old_journal: at most :count_max images older than :before_us are gone, the oldest first.
-- An array is made once; a subselect might be run again for each row, and then its limit would hold for none.
-- Rows that another one deletes just now are passed over: nobody waits, and none counts for two.
DELETE FROM journal
WHERE seq = ANY (ARRAY (
    SELECT seq FROM journal
    WHERE created_at_us < :before_us
    ORDER BY seq
    LIMIT :count_max
    FOR UPDATE SKIP LOCKED
))
