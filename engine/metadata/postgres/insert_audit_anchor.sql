-- insert_audit_anchor: an event is dropped that one which stays follows. Its hash is there once.
INSERT INTO audit_anchors (hash, event_seq, instance_id, dropped_at_us, seal)
VALUES (:hash, :event_seq, :instance_id, :now_us, :seal)
