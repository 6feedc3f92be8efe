-- find_last_audit_event: at most one row, where the chain of an instance ends.
SELECT hash FROM audit_events WHERE instance_id = :instance_id ORDER BY event_seq DESC LIMIT 1
