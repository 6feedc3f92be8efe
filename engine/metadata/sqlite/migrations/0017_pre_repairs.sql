-- Blobs with too few or too many copies are put right: jobs for single blobs, passes over what lies on a backend that is
-- away or came back, and since when an instance holds a backend for failed.

CREATE TABLE repair_jobs (
    kind TEXT NOT NULL CHECK (kind IN ('heal', 'trim')), -- whether copies are missing, or there are too many
    blob_id BLOB NOT NULL, -- blob; one that was freed meanwhile needs nothing any more
    state TEXT NOT NULL CHECK (state IN ('detected', 'reconstructing', 'placed', 'verified', 'switched')), -- how far it has come: switched once rows say what they should
    reason TEXT NOT NULL, -- what it was detected by, for people
    detected_at_us INTEGER NOT NULL, -- when it was detected
    due_us INTEGER NOT NULL, -- when it is tried next
    attempt_count INTEGER NOT NULL DEFAULT 0, -- tries that failed
    last_error TEXT, -- why the last try failed, for people; null: none has
    ended_at_us INTEGER, -- when it was switched; null: it waits
    PRIMARY KEY (kind, blob_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX repair_jobs_due ON repair_jobs (kind, due_us) WHERE ended_at_us IS NULL;
CREATE INDEX repair_jobs_ended ON repair_jobs (ended_at_us) WHERE ended_at_us IS NOT NULL;

CREATE TABLE redundancy_passes (
    subject TEXT PRIMARY KEY, -- blobs for the pass over all of them, or backends/ and the id of one
    backend_id INTEGER REFERENCES backends (backend_id), -- backend whose pieces are gone through; null: all blobs are
    phase TEXT NOT NULL CHECK (phase IN ('away', 'returned', 'all')), -- why they are: their backend is away, has come back, or a pass is due
    since_us INTEGER NOT NULL, -- since when the phase lasts
    cursor TEXT NOT NULL, -- storage key or blob in hex that the pass has come to; empty at its beginning
    seen_count INTEGER NOT NULL, -- pieces or blobs passed so far
    found_count INTEGER NOT NULL, -- repairs it asked for
    ended_at_us INTEGER -- when it came to its end; null: it has not
) STRICT;

ALTER TABLE backend_views ADD COLUMN failed_since_us INTEGER; -- since when it holds the backend for failed; null: it does not
