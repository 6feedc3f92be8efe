-- beat_process: a sign of life. One row changed.
UPDATE processes SET heartbeat_at_us = :now_us, generation = :generation, last_error = :note
WHERE process_id = :process_id
