-- Stores are written to by way of trial, so that one which takes no writes is found out before a client does.

CREATE TABLE backend_canaries (
    backend_id INTEGER PRIMARY KEY REFERENCES backends (backend_id), -- backend
    problem TEXT, -- why it took no piece, or did not give it back as it was; null: it did
    checked_at_us INTEGER NOT NULL, -- when that was seen
    expires_at_us INTEGER NOT NULL -- when it says nothing any more, if nobody looks again
) STRICT;
