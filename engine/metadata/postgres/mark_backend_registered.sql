-- mark_backend_registered: its identity object stands from now on. One row changed.
UPDATE backends SET identity_state = 'registered' WHERE backend_id = :backend_id
