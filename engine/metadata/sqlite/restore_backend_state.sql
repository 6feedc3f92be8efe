-- restore_backend_state: the state of a backend as an image tells it. One row changed.
INSERT INTO backend_states (backend_id, state, operation, reason, changed_at_us)
VALUES (:backend_id, :state, :operation, :reason, :changed_at_us)
ON CONFLICT (backend_id) DO UPDATE
SET state = excluded.state, operation = excluded.operation, reason = excluded.reason,
    changed_at_us = excluded.changed_at_us
