-- beat_process: a sign of life. One row changed.
UPDATE processes
SET heartbeat_at_us = :now_us, generation = :generation, last_error = :note,
    refused_generation = :refused_generation, refusal = :refusal,
    in_flight_count = :in_flight_count,
    drained_at_us = CASE WHEN :is_drained THEN COALESCE(drained_at_us, :now_us) END
WHERE process_id = :process_id
