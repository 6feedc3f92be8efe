-- stop_process: a clean stop, the last sign of life. One row changed.
UPDATE processes SET stopped_at_us = :now_us, heartbeat_at_us = :now_us WHERE process_id = :process_id
