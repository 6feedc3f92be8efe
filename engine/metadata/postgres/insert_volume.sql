-- insert_volume: a volume file exists and a process appends to it. One row changed, or none when it takes no appends.
INSERT INTO volumes (volume_id, backend_id, owner_process, state, created_at_us)
VALUES (:volume_id, :backend_id, :owner_process, 'open', :now_us)
ON CONFLICT (volume_id) DO UPDATE SET owner_process = :owner_process, state = 'open', size_bytes = NULL
WHERE volumes.state = 'open'
