-- insert_backend_fence: the row that placements and drains lock. One row changed.
INSERT INTO backend_fences (backend_id) VALUES (:backend_id)
