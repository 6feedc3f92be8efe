-- Audit events are dropped after their time; an anchor stands for each that one which stays follows.

CREATE TABLE audit_anchors (
    hash BLOB PRIMARY KEY,              -- hash of the event that was dropped
    event_seq INTEGER NOT NULL,         -- place it had
    instance_id BLOB NOT NULL,          -- chain it belonged to
    dropped_at_us INTEGER NOT NULL,     -- when it was dropped
    seal BLOB NOT NULL                  -- ring key id and MAC over the rest
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_events_previous ON audit_events (previous_hash);
