-- set_backend_state: what a backend may be used for, and why. One row changed.
UPDATE backend_states SET state = :state, operation = :operation, reason = :reason, changed_at_us = :now_us
WHERE backend_id = :backend_id
