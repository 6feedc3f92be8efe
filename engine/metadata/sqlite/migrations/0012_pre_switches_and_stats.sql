-- What operators switch for the whole deployment, and what each instance says of the requests it serves.

CREATE TABLE switches (
    name TEXT PRIMARY KEY CHECK (name IN ('read_only')), -- which
    is_on INTEGER NOT NULL CHECK (is_on IN (0, 1)), -- whether it is on
    reason TEXT NOT NULL,           -- why it was turned, for people
    changed_by TEXT NOT NULL,       -- who turned it last
    changed_at_us INTEGER NOT NULL  -- when
) STRICT;

CREATE TABLE instance_stats (
    instance_id BLOB PRIMARY KEY REFERENCES instances (instance_id) ON DELETE CASCADE, -- whose
    sampled_at_us INTEGER NOT NULL, -- when
    document BLOB NOT NULL          -- counts and rates, as the control plane writes and reads them
) STRICT;
