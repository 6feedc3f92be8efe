-- insert_audit_event: exactly one row out. The unique index on (instance_id, previous_hash) makes a fork of a chain
-- impossible, whatever the writers do.
INSERT INTO audit_events (instance_id, actor, action, resource, outcome, request_id, peer, detail, created_at_us,
                          previous_hash, hash)
VALUES (:instance_id, :actor, :action, :resource, :outcome, :request_id, :peer, :detail, :now_us, :previous_hash, :hash)
RETURNING event_seq
