-- find_backend_state: what a backend may be used for, and why. One row.
SELECT state, operation, reason, changed_at_us FROM backend_states WHERE backend_id = :backend_id
