-- insert_backend_state: a backend takes placements. One row changed.
INSERT INTO backend_states (backend_id, state, changed_at_us) VALUES (:backend_id, :state, :now_us)
