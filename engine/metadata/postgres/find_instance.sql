-- find_instance: at most one row.
SELECT instance_id, node, version, started_at_us, heartbeat_at_us, stopped_at_us, draining_since_us, stop_by_us
FROM instances
WHERE instance_id = :instance_id
