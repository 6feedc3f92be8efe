-- Bytes at rest are looked at again and again: how far the scrubber has come on each backend, which pieces were found bad,
-- and what a comparison of rows and bytes found. The index holds bad pieces alone, so a write never touches it.

CREATE INDEX object_locations_bad ON object_locations (backend_id, storage_key) WHERE state <> 'live';

CREATE TABLE scrub_passes (
    backend_id INTEGER PRIMARY KEY REFERENCES backends (backend_id), -- backend
    cursor TEXT NOT NULL,           -- storage key the pass has come to; empty at its beginning
    begun_at_us INTEGER NOT NULL,   -- when the pass began
    ended_at_us INTEGER,            -- when it came to its end; null: it is under way
    piece_count INTEGER NOT NULL,   -- pieces passed so far, those verified by others included
    passed_bytes INTEGER NOT NULL,  -- bytes of these as stored
    bad_count INTEGER NOT NULL,     -- pieces it found bad
    whole_begun_at_us INTEGER       -- when the last pass began that came to its end; null: none has
) STRICT;

CREATE TABLE discrepancies (
    discrepancy_id INTEGER PRIMARY KEY AUTOINCREMENT, -- order of finding
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- where
    direction TEXT NOT NULL CHECK (direction IN ('rows', 'bytes')), -- which way of looking found it
    kind TEXT NOT NULL CHECK (kind IN ('missing', 'orphan', 'size', 'checksum', 'foreign', 'state')), -- what is wrong
    subject TEXT NOT NULL,          -- a storage key, a volume by its id, or a file by its name
    blob_id BLOB,                   -- blob of the piece; null where it is none
    piece_index INTEGER,            -- piece of the blob; null where it is none
    size_bytes INTEGER NOT NULL,    -- bytes it is about
    detail TEXT NOT NULL,           -- what exactly, for people
    run_id BLOB NOT NULL,           -- the comparison that saw it last
    found_at_us INTEGER NOT NULL,   -- when it was seen last
    resolution TEXT,                -- what was done about it, for people; null: nothing yet
    resolved_at_us INTEGER,         -- when it was settled; null: it stands
    UNIQUE (backend_id, kind, subject)
) STRICT;
