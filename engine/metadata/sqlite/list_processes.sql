-- list_processes: the processes of an instance, data plane last, the newest first within a plane.
SELECT process_id, plane, pid, generation, last_error, started_at_us, heartbeat_at_us, stopped_at_us,
    refused_generation, refusal, in_flight_count, drained_at_us
FROM processes
WHERE instance_id = :instance_id
ORDER BY plane DESC, process_id DESC
