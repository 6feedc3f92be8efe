-- stop_process: a clean stop. One row changed.
UPDATE processes SET stopped_at_us = :now_us WHERE process_id = :process_id
