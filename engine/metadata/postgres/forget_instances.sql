-- forget_instances: instances older than :before_us without processes are forgotten.
DELETE FROM instances
WHERE heartbeat_at_us < :before_us
    AND NOT EXISTS (SELECT 1 FROM processes AS p WHERE p.instance_id = instances.instance_id)
