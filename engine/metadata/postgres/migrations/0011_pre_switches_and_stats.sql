-- What operators switch for the whole deployment, and what each instance says of the requests it serves.

CREATE TABLE switches (
    name TEXT COLLATE "C" PRIMARY KEY CHECK (name IN ('read_only')), -- which
    is_on BOOLEAN NOT NULL,        -- whether it is on
    reason TEXT COLLATE "C" NOT NULL, -- why it was turned, for people
    changed_by TEXT COLLATE "C" NOT NULL, -- who turned it last
    changed_at_us BIGINT NOT NULL  -- when
);

CREATE TABLE instance_stats (
    instance_id BYTEA PRIMARY KEY REFERENCES instances (instance_id) ON DELETE CASCADE, -- whose
    sampled_at_us BIGINT NOT NULL, -- when
    document BYTEA NOT NULL        -- counts and rates, as the control plane writes and reads them
) WITH (fillfactor = 50);
