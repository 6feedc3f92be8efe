-- find_instance_wishes: at most one row: what an instance was asked for.
SELECT draining_since_us, look_asked_at_us, restart_asked_at_us, stop_by_us, stop_taken_by
FROM instances
WHERE instance_id = :instance_id
