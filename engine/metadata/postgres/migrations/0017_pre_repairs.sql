-- Blobs with too few or too many copies are put right: jobs for single blobs, passes over what lies on a backend that is
-- away or came back, and since when an instance holds a backend for failed.

CREATE TABLE repair_jobs (
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('heal', 'trim')), -- whether copies are missing, or there are too many
    blob_id BYTEA NOT NULL, -- blob; one that was freed meanwhile needs nothing any more
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('detected', 'reconstructing', 'placed', 'verified', 'switched')), -- how far it has come: switched once rows say what they should
    reason TEXT COLLATE "C" NOT NULL, -- what it was detected by, for people
    detected_at_us BIGINT NOT NULL, -- when it was detected
    due_us BIGINT NOT NULL, -- when it is tried next
    attempt_count BIGINT NOT NULL DEFAULT 0, -- tries that failed
    last_error TEXT COLLATE "C", -- why the last try failed, for people; null: none has
    ended_at_us BIGINT, -- when it was switched; null: it waits
    PRIMARY KEY (kind, blob_id)
);
CREATE INDEX repair_jobs_due ON repair_jobs (kind, due_us) WHERE ended_at_us IS NULL;
CREATE INDEX repair_jobs_ended ON repair_jobs (ended_at_us) WHERE ended_at_us IS NOT NULL;

CREATE TABLE redundancy_passes (
    subject TEXT COLLATE "C" PRIMARY KEY, -- blobs for the pass over all of them, or backends/ and the id of one
    backend_id BIGINT REFERENCES backends (backend_id), -- backend whose pieces are gone through; null: all blobs are
    phase TEXT COLLATE "C" NOT NULL CHECK (phase IN ('away', 'returned', 'all')), -- why they are: their backend is away, has come back, or a pass is due
    since_us BIGINT NOT NULL, -- since when the phase lasts
    cursor TEXT COLLATE "C" NOT NULL, -- storage key or blob in hex that the pass has come to; empty at its beginning
    seen_count BIGINT NOT NULL, -- pieces or blobs passed so far
    found_count BIGINT NOT NULL, -- repairs it asked for
    ended_at_us BIGINT -- when it came to its end; null: it has not
);

ALTER TABLE backend_views ADD COLUMN failed_since_us BIGINT; -- since when it holds the backend for failed; null: it does not

COMMENT ON COLUMN repair_jobs.kind IS 'whether copies are missing, or there are too many';
COMMENT ON COLUMN repair_jobs.blob_id IS 'blob; one that was freed meanwhile needs nothing any more';
COMMENT ON COLUMN repair_jobs.state IS 'how far it has come: switched once rows say what they should';
COMMENT ON COLUMN repair_jobs.reason IS 'what it was detected by, for people';
COMMENT ON COLUMN repair_jobs.detected_at_us IS 'when it was detected';
COMMENT ON COLUMN repair_jobs.due_us IS 'when it is tried next';
COMMENT ON COLUMN repair_jobs.attempt_count IS 'tries that failed';
COMMENT ON COLUMN repair_jobs.last_error IS 'why the last try failed, for people; null: none has';
COMMENT ON COLUMN repair_jobs.ended_at_us IS 'when it was switched; null: it waits';
COMMENT ON COLUMN redundancy_passes.subject IS 'blobs for the pass over all of them, or backends/ and the id of one';
COMMENT ON COLUMN redundancy_passes.backend_id IS 'backend whose pieces are gone through; null: all blobs are';
COMMENT ON COLUMN redundancy_passes.phase IS 'why they are: their backend is away, has come back, or a pass is due';
COMMENT ON COLUMN redundancy_passes.since_us IS 'since when the phase lasts';
COMMENT ON COLUMN redundancy_passes.cursor IS 'storage key or blob in hex that the pass has come to; empty at its beginning';
COMMENT ON COLUMN redundancy_passes.seen_count IS 'pieces or blobs passed so far';
COMMENT ON COLUMN redundancy_passes.found_count IS 'repairs it asked for';
COMMENT ON COLUMN redundancy_passes.ended_at_us IS 'when it came to its end; null: it has not';
COMMENT ON COLUMN backend_views.failed_since_us IS 'since when it holds the backend for failed; null: it does not';
