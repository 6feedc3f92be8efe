-- list_instances: at most :count_max instances started before a time and id, the one started last first.
SELECT instance_id, node, version, started_at_us, heartbeat_at_us, stopped_at_us, draining_since_us, stop_by_us
FROM instances
WHERE instance_id < :before
ORDER BY instance_id DESC
LIMIT :count_max
