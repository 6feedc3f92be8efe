-- forget_processes: at most :count_max processes whose last sign of life is older than :before_us are forgotten.
DELETE FROM processes WHERE process_id IN (
    SELECT process_id FROM processes WHERE heartbeat_at_us < :before_us LIMIT :count_max
)
