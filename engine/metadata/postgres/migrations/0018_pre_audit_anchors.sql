-- Audit events are dropped after their time; an anchor stands for each that one which stays follows.

CREATE TABLE audit_anchors (
    hash BYTEA PRIMARY KEY,             -- hash of the event that was dropped
    event_seq BIGINT NOT NULL,          -- place it had
    instance_id BYTEA NOT NULL,         -- chain it belonged to
    dropped_at_us BIGINT NOT NULL,      -- when it was dropped
    seal BYTEA NOT NULL                 -- ring key id and MAC over the rest
);
CREATE INDEX audit_events_previous ON audit_events (previous_hash);

COMMENT ON COLUMN audit_anchors.hash IS 'hash of the event that was dropped';
COMMENT ON COLUMN audit_anchors.event_seq IS 'place it had';
COMMENT ON COLUMN audit_anchors.instance_id IS 'chain it belonged to';
COMMENT ON COLUMN audit_anchors.dropped_at_us IS 'when it was dropped';
COMMENT ON COLUMN audit_anchors.seal IS 'ring key id and MAC over the rest';
