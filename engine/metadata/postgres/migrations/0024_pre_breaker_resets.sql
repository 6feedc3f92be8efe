-- Backends whose breakers were reset by an operator: each process looks, and forgets what it holds against them.

CREATE TABLE backend_resets (
    backend_id BIGINT PRIMARY KEY REFERENCES backends (backend_id), -- the backend
    asked_at_us BIGINT NOT NULL      -- when that was asked for last
);

COMMENT ON COLUMN backend_resets.backend_id IS 'the backend';
COMMENT ON COLUMN backend_resets.asked_at_us IS 'when that was asked for last';
