-- Audit events say from where a call came, and form chains: an event is found by its hash, the end of a chain by its
-- instance, and no two events follow the same one.

ALTER TABLE audit_events ADD COLUMN peer TEXT NOT NULL DEFAULT ''; -- where the call came from
CREATE INDEX audit_events_chain ON audit_events (instance_id, event_seq);
CREATE UNIQUE INDEX audit_events_follow ON audit_events (instance_id, previous_hash);
CREATE UNIQUE INDEX audit_events_hash ON audit_events (hash);
