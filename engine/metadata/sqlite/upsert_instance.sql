-- upsert_instance: an instance runs. One row changed; its other processes find it there.
INSERT INTO instances (instance_id, node, version, started_at_us, heartbeat_at_us, connection_count_max)
VALUES (:instance_id, :node, :version, :now_us, :now_us, :connection_count_max)
ON CONFLICT (instance_id) DO UPDATE SET heartbeat_at_us = :now_us, stopped_at_us = NULL
