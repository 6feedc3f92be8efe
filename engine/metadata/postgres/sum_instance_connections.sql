-- sum_instance_connections: one row: what all instances together may have that gave a sign of life since :alive_us.
SELECT COALESCE(SUM(connection_count_max), 0)::bigint FROM instances
WHERE stopped_at_us IS NULL AND heartbeat_at_us >= :alive_us
