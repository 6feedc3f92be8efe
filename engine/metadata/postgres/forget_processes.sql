-- forget_processes: at most :count_max processes whose last sign of life is older than :before_us are forgotten.
-- An array is made once; a subselect might be run again for each row, and then its limit would hold for none.
-- One that shows a sign of life just now is passed over, and so is not forgotten after all.
DELETE FROM processes
WHERE process_id = ANY (ARRAY (
    SELECT process_id FROM processes
    WHERE heartbeat_at_us < :before_us
    LIMIT :count_max
    FOR UPDATE SKIP LOCKED
))
