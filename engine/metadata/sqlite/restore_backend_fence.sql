-- restore_backend_fence: the row that placements and drains lock. One row changed, or none when it is there.
INSERT INTO backend_fences (backend_id) VALUES (:backend_id)
ON CONFLICT (backend_id) DO NOTHING
