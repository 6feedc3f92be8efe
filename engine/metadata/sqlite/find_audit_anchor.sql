-- find_audit_anchor: at most one row: the anchor of an event that bore the hash.
SELECT hash, event_seq, instance_id, dropped_at_us, seal FROM audit_anchors WHERE hash = :hash
