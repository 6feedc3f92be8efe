-- Backends whose breakers were reset by an operator: each process looks, and forgets what it holds against them.

CREATE TABLE backend_resets (
    backend_id INTEGER PRIMARY KEY REFERENCES backends (backend_id), -- the backend
    asked_at_us INTEGER NOT NULL      -- when that was asked for last
) STRICT;
