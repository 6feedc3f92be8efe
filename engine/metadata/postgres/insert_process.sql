-- insert_process: a process runs. One row changed.
INSERT INTO processes (process_id, instance_id, plane, pid, generation, started_at_us, heartbeat_at_us)
VALUES (:process_id, :instance_id, :plane, :pid, :generation, :now_us, :now_us)
