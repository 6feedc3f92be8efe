-- delete_audit_events: an instance's events up to one.
DELETE FROM audit_events WHERE instance_id = :instance_id AND event_seq <= :last
