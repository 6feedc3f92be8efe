-- lock_backend_states: keep every backend's state until the commit. Nobody who places pieces locks them.
SELECT 1 FROM backend_states ORDER BY backend_id FOR UPDATE
