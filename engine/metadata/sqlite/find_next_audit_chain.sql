-- find_next_audit_chain: at most one row, the next instance by id that wrote events.
SELECT instance_id FROM audit_events WHERE instance_id > :after ORDER BY instance_id LIMIT 1
