-- Times are microseconds since the Unix epoch by the database's clock, sizes are bytes, ids of 16 bytes are UUIDv7.

CREATE TABLE deployment (
    one INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    deployment_id BLOB NOT NULL,             -- 16 bytes, also in every backend's identity object
    node TEXT,                               -- the node name of a deployment with volumes; null while it has none
    created_at_us INTEGER NOT NULL,          -- when generation 1 was made
    seen_us INTEGER NOT NULL                 -- largest database time any process stored; a step back below it alarms
) STRICT;

CREATE TABLE accounts (
    account_id INTEGER PRIMARY KEY AUTOINCREMENT, -- small integer used by references
    name TEXT NOT NULL UNIQUE,                    -- account name, shown as owner
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')), -- who made the row
    created_at_us INTEGER NOT NULL                -- when it was made
) STRICT;

CREATE TABLE buckets (
    bucket_id INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused
    name TEXT NOT NULL UNIQUE,                   -- bucket name
    account_id INTEGER NOT NULL REFERENCES accounts (account_id), -- owner
    created_at_us INTEGER NOT NULL,              -- CreationDate
    versioning TEXT NOT NULL DEFAULT 'off' CHECK (versioning IN ('off', 'enabled', 'suspended')), -- versioning state
    object_lock INTEGER NOT NULL DEFAULT 0 CHECK (object_lock IN (0, 1)), -- object lock enabled
    scheme TEXT,                                 -- scheme override such as copies(2); null: the deployment's default
    seal TEXT CHECK (seal IN ('none', 'all')),   -- sealing override; null: the deployment's default
    dedup TEXT,                                  -- dedup domain override; null: the deployment's default
    quota_bytes INTEGER,                         -- limit of logical bytes; null: none
    revision INTEGER NOT NULL DEFAULT 1,         -- grows with every change of the bucket's settings
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')) -- who made the row
) STRICT;

CREATE TABLE bucket_configs (
    bucket_id INTEGER NOT NULL REFERENCES buckets (bucket_id) ON DELETE CASCADE, -- bucket
    kind TEXT NOT NULL,        -- cors, lifecycle, policy, tagging, encryption, notification, replication, object_lock, ownership, public_access, logging
    document TEXT NOT NULL,    -- the document in its canonical form
    revision INTEGER NOT NULL, -- grows with every change
    PRIMARY KEY (bucket_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    key_id BLOB PRIMARY KEY,        -- fingerprint of the ring key
    key_name TEXT NOT NULL,         -- name that rotation keeps
    provider TEXT NOT NULL,         -- file, inline or vault
    wrapped_material BLOB NOT NULL, -- ring key wrapped by the provider
    state TEXT NOT NULL CHECK (state IN ('primary', 'active', 'retired', 'destroyed')), -- what the key may do
    check_value BLOB NOT NULL,      -- proves at start that the provider opened the right key
    created_at_us INTEGER NOT NULL  -- when it was made
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX keys_one_primary ON keys (key_name) WHERE state = 'primary';

CREATE TABLE backends (
    backend_id INTEGER PRIMARY KEY AUTOINCREMENT, -- small integer used by references, never reused
    name TEXT NOT NULL UNIQUE,                    -- name in the configuration
    kind TEXT NOT NULL,                           -- volume, s3 or memory
    node TEXT,                                    -- node a volume backend belongs to
    failure_domain TEXT NOT NULL,                 -- pieces of one blob never share it
    identity_id BLOB NOT NULL,                    -- backend id in the identity object, 16 bytes
    identity_state TEXT NOT NULL CHECK (identity_state IN ('registering', 'registered')), -- whether the identity object must stand
    created_at_us INTEGER NOT NULL                -- when a generation first named it
) STRICT;

CREATE TABLE backend_states (
    backend_id INTEGER PRIMARY KEY REFERENCES backends (backend_id), -- backend
    state TEXT NOT NULL CHECK (state IN ('active', 'read-only', 'draining', 'drained', 'removed')), -- placements only in active
    operation TEXT,                  -- operation that set the state
    reason TEXT,                     -- why, for people
    changed_at_us INTEGER NOT NULL   -- since when
) STRICT;

CREATE TABLE backend_fences (
    backend_id INTEGER PRIMARY KEY REFERENCES backends (backend_id) -- a row that is only ever locked
) STRICT;

CREATE TABLE backend_views (
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- backend
    instance_id BLOB NOT NULL, -- who sees it so
    phi REAL,                  -- phi accrual suspicion
    breaker TEXT,              -- closed, open, half-open
    problem TEXT,              -- what is wrong, for people; null: nothing
    seen_at_us INTEGER NOT NULL, -- when
    PRIMARY KEY (backend_id, instance_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    blob_id BLOB PRIMARY KEY,      -- UUIDv7
    size_bytes INTEGER NOT NULL,   -- plaintext
    stored_bytes INTEGER NOT NULL, -- payload as stored in one copy, sealed if sealed
    content_hash BLOB,             -- BLAKE3 of the plaintext; null where nothing asks for it
    dedup_domain TEXT,             -- who may share the blob; null: nobody
    scheme TEXT NOT NULL,          -- copies(n) or erasure(k,m)
    cell_bytes INTEGER,            -- cell of an erasure-coded blob; null for copies
    key_id BLOB REFERENCES keys (key_id), -- ring key that wraps the data key; null: not sealed
    wrapped_dek BLOB,              -- wrapped data key; null: not sealed
    frame_bytes INTEGER,           -- plaintext bytes a frame; null: not sealed
    block_crcs BLOB NOT NULL,      -- CRC32C of every 256 KiB of stored payload, big-endian
    created_at_us INTEGER NOT NULL, -- when it was first published
    CHECK ((key_id IS NULL) = (wrapped_dek IS NULL) AND (key_id IS NULL) = (frame_bytes IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_by_content ON blobs (dedup_domain, content_hash, size_bytes) WHERE dedup_domain IS NOT NULL;

CREATE TABLE object_locations (
    blob_id BLOB NOT NULL REFERENCES blobs (blob_id), -- blob
    piece_index INTEGER NOT NULL,  -- copy number from 0, or shard number
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- where it lies
    storage_key TEXT NOT NULL,     -- unique per backend, used once ever; on a volume 32 hex digits of its id, a colon, 10 hex digits of the offset
    stored_bytes INTEGER NOT NULL, -- bytes the piece occupies on the backend, checksums, card and trailer included
    digest BLOB,                   -- whole-piece digest where the backend gives one
    block_crcs BLOB,               -- checksums of a shard's cells; null for copies
    card_key_id BLOB,              -- ring key the card is MACed under
    state TEXT NOT NULL CHECK (state IN ('live', 'suspect', 'lost')), -- whether reads may trust it
    origin TEXT NOT NULL DEFAULT 'ours' CHECK (origin IN ('ours', 'imported')), -- imported pieces keep their own key
    verified_at_us INTEGER NOT NULL, -- when its bytes were last known good
    PRIMARY KEY (blob_id, piece_index)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX object_locations_by_key ON object_locations (backend_id, storage_key);

CREATE TABLE object_versions (
    version_seq INTEGER PRIMARY KEY AUTOINCREMENT, -- order of versions, and the only reference to them
    bucket_id INTEGER REFERENCES buckets (bucket_id), -- null exactly when retired
    object_key BLOB NOT NULL,      -- key in bytes
    version_id TEXT NOT NULL,      -- what clients name it by; 'null' outside enabled versioning
    is_current INTEGER NOT NULL CHECK (is_current IN (0, 1)), -- what a plain GET sees
    is_delete_marker INTEGER NOT NULL DEFAULT 0 CHECK (is_delete_marker IN (0, 1)), -- a marker has no bytes
    state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'retired')), -- retired rows wait for the reaper
    size_bytes INTEGER NOT NULL,   -- plaintext
    etag TEXT NOT NULL,            -- without quotes
    content_type TEXT,             -- Content-Type; null: binary/octet-stream
    headers TEXT,                  -- JSON object of the other system metadata headers; null: none
    user_metadata TEXT,            -- JSON object of x-amz-meta-*, names without the prefix; null: none
    checksums TEXT,                -- JSON array of {algorithm, type, digest (base64), part_count}; null: none
    part_count INTEGER,            -- parts of a multipart object; null: a single PUT
    storage_class TEXT NOT NULL DEFAULT 'STANDARD', -- storage class
    sse_kind TEXT,                 -- null, AES256, aws:kms or customer
    sse_key_name TEXT,             -- named key of aws:kms
    retention_mode TEXT CHECK (retention_mode IN ('GOVERNANCE', 'COMPLIANCE')), -- object lock mode
    retain_until_us INTEGER,       -- end of retention
    legal_hold INTEGER NOT NULL DEFAULT 0 CHECK (legal_hold IN (0, 1)), -- legal hold
    mirror_status TEXT,            -- bucket replication status
    restore_state TEXT,            -- state of a restore
    account_id INTEGER NOT NULL REFERENCES accounts (account_id), -- owner
    created_at_us INTEGER NOT NULL, -- Last-Modified
    blob_id BLOB REFERENCES blobs (blob_id), -- the one blob; null: segmented, empty or a marker
    CHECK ((bucket_id IS NULL) = (state = 'retired')),
    CHECK (state = 'live' OR is_current = 0)
) STRICT;
CREATE UNIQUE INDEX object_versions_current ON object_versions (bucket_id, object_key) WHERE is_current;
CREATE UNIQUE INDEX object_versions_null ON object_versions (bucket_id, object_key) WHERE state = 'live' AND version_id = 'null';
CREATE INDEX object_versions_history ON object_versions (bucket_id, object_key, version_seq DESC) WHERE state = 'live';
CREATE INDEX object_versions_by_blob ON object_versions (blob_id) WHERE blob_id IS NOT NULL;

CREATE TABLE object_tags (
    version_seq INTEGER NOT NULL REFERENCES object_versions (version_seq), -- version
    tag_key TEXT NOT NULL,   -- key
    tag_value TEXT NOT NULL, -- value
    PRIMARY KEY (version_seq, tag_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_segments (
    version_seq INTEGER NOT NULL REFERENCES object_versions (version_seq), -- version
    ordinal INTEGER NOT NULL,      -- order from 0
    start_offset INTEGER NOT NULL, -- where the slice begins in the object
    blob_id BLOB NOT NULL REFERENCES blobs (blob_id), -- blob
    blob_offset INTEGER NOT NULL,  -- where the slice begins in the blob
    length INTEGER NOT NULL,       -- bytes of the slice
    part_number INTEGER,           -- part it came from; null: a single PUT
    PRIMARY KEY (version_seq, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX object_segments_by_blob ON object_segments (blob_id);

CREATE TABLE multipart_uploads (
    upload_id BLOB PRIMARY KEY,    -- UUIDv7
    bucket_id INTEGER REFERENCES buckets (bucket_id), -- null exactly when finished
    finished_bucket_id INTEGER,    -- the bucket's id once finished, without reference
    object_key BLOB NOT NULL,      -- key in bytes
    account_id INTEGER NOT NULL REFERENCES accounts (account_id), -- initiator and owner
    content_type TEXT,             -- as the version will carry it
    headers TEXT,                  -- as the version will carry it
    user_metadata TEXT,            -- as the version will carry it
    storage_class TEXT NOT NULL DEFAULT 'STANDARD', -- as the version will carry it
    checksum_algorithm TEXT,       -- asked for at creation; null: none
    checksum_type TEXT,            -- FULL_OBJECT or COMPOSITE; null: none
    sse_kind TEXT,                 -- as the version will carry it
    sse_key_name TEXT,             -- as the version will carry it
    sse_verifier BLOB,             -- salted verifier of a customer's key, never the key
    scheme TEXT NOT NULL,          -- scheme its parts are stored under
    is_sealed INTEGER NOT NULL CHECK (is_sealed IN (0, 1)), -- whether its parts are sealed
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'completed', 'aborted')), -- one way out of open
    parts_digest BLOB,             -- digest of the part list that completed it
    result TEXT,                   -- JSON of the stored answer; null unless completed
    created_at_us INTEGER NOT NULL, -- Initiated
    finished_at_us INTEGER,        -- completed or aborted
    CHECK ((bucket_id IS NULL) = (state <> 'open')),
    CHECK ((finished_at_us IS NULL) = (state = 'open'))
) STRICT, WITHOUT ROWID;
CREATE INDEX multipart_uploads_open ON multipart_uploads (bucket_id, object_key, upload_id) WHERE state = 'open';
CREATE INDEX multipart_uploads_finished ON multipart_uploads (finished_at_us) WHERE state <> 'open';

CREATE TABLE multipart_parts (
    part_seq INTEGER PRIMARY KEY AUTOINCREMENT, -- one per attempt that was stored
    upload_id BLOB NOT NULL REFERENCES multipart_uploads (upload_id), -- upload
    part_number INTEGER NOT NULL,  -- 1 to 10,000
    state TEXT NOT NULL DEFAULT 'live' CHECK (state IN ('live', 'retired')), -- a re-sent part retires the one before
    size_bytes INTEGER NOT NULL,   -- plaintext
    etag TEXT NOT NULL,            -- MD5 in hex
    checksums TEXT,                -- JSON as in object_versions
    created_at_us INTEGER NOT NULL -- LastModified
) STRICT;
CREATE UNIQUE INDEX multipart_parts_live ON multipart_parts (upload_id, part_number) WHERE state = 'live';
CREATE INDEX multipart_parts_by_upload ON multipart_parts (upload_id);

CREATE TABLE multipart_part_segments (
    part_seq INTEGER NOT NULL REFERENCES multipart_parts (part_seq), -- part
    ordinal INTEGER NOT NULL,      -- order from 0
    start_offset INTEGER NOT NULL, -- where the slice begins in the part
    blob_id BLOB NOT NULL REFERENCES blobs (blob_id), -- blob
    length INTEGER NOT NULL,       -- bytes; the slice is the whole blob
    PRIMARY KEY (part_seq, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX multipart_part_segments_by_blob ON multipart_part_segments (blob_id);

CREATE TABLE volumes (
    volume_id BLOB PRIMARY KEY,    -- UUIDv7, never reused
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- the directory it lies in
    owner_process BLOB,            -- process that appends to it; null unless open
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'compacting', 'gone')), -- publish names only open and closed ones
    size_bytes INTEGER,            -- file size, set at close
    dead_bytes INTEGER NOT NULL DEFAULT 0, -- record bytes no row names, by cleanup and compaction
    created_at_us INTEGER NOT NULL, -- when the file was made
    unlink_after_us INTEGER        -- a gone file is unlinked after this
) STRICT, WITHOUT ROWID;

CREATE TABLE pending_objects (
    intent_id BLOB PRIMARY KEY,    -- UUIDv7
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- where the piece is to be written
    storage_key TEXT NOT NULL,     -- the exact key
    upload_id BLOB,                -- upload it belongs to; null: none
    instance_id BLOB NOT NULL,     -- who holds it
    renewed_at_us INTEGER NOT NULL, -- last sign of life
    claimed_by BLOB,               -- process that recovers it
    claimed_at_us INTEGER          -- since when
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX pending_objects_by_key ON pending_objects (backend_id, storage_key);

CREATE TABLE quota_limits (
    subject TEXT PRIMARY KEY,      -- backend:<id> or bucket:<id>
    limit_bytes INTEGER            -- null: no limit
) STRICT, WITHOUT ROWID;

CREATE TABLE backend_quotas (
    subject TEXT NOT NULL REFERENCES quota_limits (subject), -- backend:<id> or bucket:<id>
    stripe INTEGER NOT NULL,       -- from 0; SQLite has one
    share_bytes INTEGER,           -- the stripe's part of the limit; null: no limit
    used_bytes INTEGER NOT NULL DEFAULT 0,     -- bytes of live rows; only the sum over stripes means something
    orphan_bytes INTEGER NOT NULL DEFAULT 0,   -- bytes in cleanup rows, still on the backend
    reserved_bytes INTEGER NOT NULL DEFAULT 0, -- bytes promised to writes under way
    object_count INTEGER NOT NULL DEFAULT 0,   -- live rows; only the sum means something
    PRIMARY KEY (subject, stripe),
    CHECK (share_bytes IS NULL OR used_bytes + orphan_bytes + reserved_bytes <= share_bytes)
) STRICT, WITHOUT ROWID;

CREATE TABLE quota_leases (
    instance_id BLOB NOT NULL,     -- who holds the room
    subject TEXT NOT NULL,         -- backend:<id>
    stripe INTEGER NOT NULL,       -- where the same bytes stand as reserved
    bytes INTEGER NOT NULL CHECK (bytes >= 0), -- room held ahead
    PRIMARY KEY (instance_id, subject, stripe)
) STRICT, WITHOUT ROWID;

CREATE TABLE backend_usage (
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- backend
    period TEXT NOT NULL,          -- YYYY-MM
    instance_id BLOB NOT NULL,     -- who leased; 16 zero bytes: the settled sum
    api_requests TEXT NOT NULL,    -- JSON object of counts by class
    egress_bytes INTEGER NOT NULL, -- bytes out
    ingress_bytes INTEGER NOT NULL, -- bytes in
    PRIMARY KEY (backend_id, period, instance_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE cleanup_queue (
    cleanup_id INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- where
    storage_key TEXT NOT NULL,     -- exactly what to delete
    reason TEXT NOT NULL,          -- reaped, intent, replaced, moved
    size_bytes INTEGER NOT NULL,   -- counted as orphan bytes until deleted
    not_before_us INTEGER NOT NULL, -- read grace
    attempts INTEGER NOT NULL DEFAULT 0, -- tries so far
    next_retry_us INTEGER NOT NULL, -- due time: not_before, then the backoff
    claimed_by BLOB,               -- process at work on it
    claimed_at_us INTEGER,         -- since when; stale claims return
    last_error TEXT,               -- of the last try
    UNIQUE (backend_id, storage_key)
) STRICT;
CREATE INDEX cleanup_queue_due ON cleanup_queue (next_retry_us) WHERE claimed_by IS NULL;

CREATE TABLE cleanup_dlq (
    cleanup_id INTEGER PRIMARY KEY, -- as it was in the queue
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- where
    storage_key TEXT NOT NULL,     -- exactly what to delete
    reason TEXT NOT NULL,          -- why it was queued
    size_bytes INTEGER NOT NULL,   -- still counted as orphan bytes
    attempts INTEGER NOT NULL,     -- tries made
    last_error TEXT,               -- of the last try
    died_at_us INTEGER NOT NULL    -- when it was given up
) STRICT;

CREATE TABLE retired (
    retired_id INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    kind TEXT NOT NULL CHECK (kind IN ('version', 'upload', 'part')), -- what to walk
    target_seq INTEGER,            -- version_seq or part_seq
    target_id BLOB,                -- upload_id
    cursor INTEGER NOT NULL DEFAULT -1, -- last ordinal walked
    problem TEXT,                  -- why the reaper stopped at it; null: it did not
    created_at_us INTEGER NOT NULL, -- when it was retired
    CHECK ((target_seq IS NULL) <> (target_id IS NULL))
) STRICT;

CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    kind TEXT NOT NULL,            -- what the after-image is of
    payload TEXT NOT NULL,         -- compact JSON
    created_at_us INTEGER NOT NULL -- dropped a day later until snapshots cover it
) STRICT;

CREATE TABLE notification_outbox (
    event_id BLOB PRIMARY KEY,     -- UUIDv7
    type TEXT NOT NULL,            -- event type
    payload TEXT NOT NULL,         -- JSON
    target TEXT NOT NULL,          -- where it goes
    attempts INTEGER NOT NULL DEFAULT 0, -- tries so far
    next_retry_us INTEGER NOT NULL, -- due time
    last_error TEXT                -- of the last try
) STRICT, WITHOUT ROWID;

CREATE TABLE notification_dlq (
    event_id BLOB PRIMARY KEY,     -- as it was in the outbox
    type TEXT NOT NULL,            -- event type
    payload TEXT NOT NULL,         -- JSON
    target TEXT NOT NULL,          -- where it should have gone
    attempts INTEGER NOT NULL,     -- tries made
    last_error TEXT,               -- of the last try
    died_at_us INTEGER NOT NULL    -- when it was given up
) STRICT, WITHOUT ROWID;

CREATE TABLE mirror_queue (
    version_seq INTEGER NOT NULL REFERENCES object_versions (version_seq), -- version to copy
    rule TEXT NOT NULL,            -- replication rule
    target TEXT NOT NULL,          -- bucket it goes to
    attempts INTEGER NOT NULL DEFAULT 0, -- tries so far
    next_retry_us INTEGER NOT NULL, -- due time
    last_error TEXT,               -- of the last try
    PRIMARY KEY (version_seq, rule)
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
    identity_id INTEGER PRIMARY KEY AUTOINCREMENT, -- small integer used by references
    name TEXT NOT NULL UNIQUE,     -- name
    account_id INTEGER NOT NULL REFERENCES accounts (account_id), -- account it acts for
    role TEXT NOT NULL CHECK (role IN ('reader', 'writer', 'superuser')), -- ready-made role
    buckets TEXT,                  -- JSON array of bucket names it is limited to; null: all of its account
    is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1)), -- gone from the file, or switched off
    expires_at_us INTEGER,         -- null: never
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')), -- who made the row
    created_at_us INTEGER NOT NULL -- when it was made
) STRICT;

CREATE TABLE access_keys (
    access_key_id TEXT PRIMARY KEY, -- what requests name
    identity_id INTEGER NOT NULL REFERENCES identities (identity_id), -- whose it is
    sealed_secret BLOB NOT NULL,   -- secret sealed by the ring; SigV4 needs it back
    key_id BLOB NOT NULL REFERENCES keys (key_id), -- ring key that sealed it
    is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1)), -- switched off
    expires_at_us INTEGER,         -- null: never
    last_used_us INTEGER,          -- written in batches
    created_at_us INTEGER NOT NULL -- when it was made
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
    name TEXT PRIMARY KEY,         -- policy name
    document TEXT NOT NULL,        -- policy document
    revision INTEGER NOT NULL      -- grows with every change
) STRICT, WITHOUT ROWID;

CREATE TABLE attachments (
    identity_id INTEGER NOT NULL REFERENCES identities (identity_id), -- whose it is
    policy TEXT NOT NULL REFERENCES policies (name), -- what is attached
    PRIMARY KEY (identity_id, policy)
) STRICT, WITHOUT ROWID;

CREATE TABLE admin_tokens (
    name TEXT PRIMARY KEY,         -- name
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')), -- what it may do
    sha256 BLOB NOT NULL UNIQUE,   -- of the token; the token itself is nowhere
    scopes TEXT,                   -- JSON array of method globs; null: all of the role
    is_disabled INTEGER NOT NULL DEFAULT 0 CHECK (is_disabled IN (0, 1)), -- gone from the file, or switched off
    expires_at_us INTEGER,         -- null: never
    last_used_us INTEGER,          -- written in batches
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')), -- who made the row
    created_at_us INTEGER NOT NULL -- when it was made
) STRICT, WITHOUT ROWID;

CREATE TABLE config_generations (
    generation INTEGER PRIMARY KEY, -- 1, 2, 3, …
    document TEXT NOT NULL,        -- canonical JSON, secrets as references or sealed
    file_digest BLOB,              -- of the file it was made from; null: made through the API
    origin TEXT NOT NULL CHECK (origin IN ('config', 'api')), -- where it came from
    author TEXT NOT NULL,          -- who made it
    created_at_us INTEGER NOT NULL -- when
) STRICT;

CREATE TABLE instances (
    instance_id BLOB PRIMARY KEY,  -- UUIDv7, new at every start
    node TEXT NOT NULL,            -- node it runs on
    version TEXT NOT NULL,         -- version of the software
    started_at_us INTEGER NOT NULL, -- when
    heartbeat_at_us INTEGER NOT NULL, -- last sign of life of any of its processes
    stopped_at_us INTEGER          -- clean stop
) STRICT, WITHOUT ROWID;

CREATE TABLE processes (
    process_id BLOB PRIMARY KEY,   -- UUIDv7, new at every start
    instance_id BLOB NOT NULL REFERENCES instances (instance_id), -- instance
    plane TEXT NOT NULL CHECK (plane IN ('dataplane', 'controlplane')), -- what it runs
    pid INTEGER NOT NULL,          -- operating-system process id
    generation INTEGER,            -- configuration generation it runs; null: none yet
    last_error TEXT,               -- why it could not apply a generation
    started_at_us INTEGER NOT NULL, -- when
    heartbeat_at_us INTEGER NOT NULL, -- last sign of life
    stopped_at_us INTEGER          -- clean stop
) STRICT, WITHOUT ROWID;

CREATE TABLE worker_leases (
    worker TEXT PRIMARY KEY,       -- job
    holder BLOB,                   -- process; null: free
    token INTEGER NOT NULL,        -- fencing token, grows with every new holder
    expires_at_us INTEGER NOT NULL -- end of the lease
) STRICT, WITHOUT ROWID;

CREATE TABLE worker_settings (
    worker TEXT PRIMARY KEY,       -- job
    is_enabled INTEGER NOT NULL DEFAULT 1 CHECK (is_enabled IN (0, 1)), -- off: never runs
    interval_s REAL NOT NULL,      -- pause between runs
    rate_bytes INTEGER,            -- bytes a second; null: no bound of its own
    paused_by TEXT,                -- who paused it; null: it is not paused
    paused_why TEXT,               -- why
    paused_until_us INTEGER,       -- null: until resumed
    triggered_at_us INTEGER        -- run asked for and not begun; null: none
) STRICT, WITHOUT ROWID;

CREATE TABLE worker_runs (
    run_id INTEGER PRIMARY KEY AUTOINCREMENT, -- order
    worker TEXT NOT NULL,          -- job
    holder BLOB NOT NULL,          -- process
    token INTEGER NOT NULL,        -- fencing token it ran under
    started_at_us INTEGER NOT NULL, -- when
    finished_at_us INTEGER,        -- null: running, or died
    done_count INTEGER NOT NULL DEFAULT 0,     -- things done
    deferred_count INTEGER NOT NULL DEFAULT 0, -- things put off
    error TEXT                     -- null: none
) STRICT;
CREATE INDEX worker_runs_by_worker ON worker_runs (worker, run_id DESC);

CREATE TABLE operations (
    name TEXT PRIMARY KEY,         -- operations/<id>
    method TEXT NOT NULL,          -- rpc that started it
    target TEXT NOT NULL,          -- resource it works on
    request TEXT NOT NULL,         -- JSON
    state TEXT NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'cancelled')), -- where it stands
    progress TEXT,                 -- JSON
    cursor TEXT,                   -- keyset position
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)), -- asked to stop
    warnings TEXT,                 -- JSON array
    result TEXT,                   -- JSON
    error TEXT,                    -- why it failed; null unless failed
    created_at_us INTEGER NOT NULL, -- when
    finished_at_us INTEGER         -- when it ended
) STRICT, WITHOUT ROWID;
CREATE INDEX operations_open ON operations (target, method) WHERE state IN ('pending', 'running');

CREATE TABLE audit_events (
    event_seq INTEGER PRIMARY KEY AUTOINCREMENT, -- order
    instance_id BLOB NOT NULL,     -- chain it belongs to
    actor TEXT NOT NULL,           -- who
    action TEXT NOT NULL,          -- method
    resource TEXT,                 -- what
    outcome TEXT NOT NULL,         -- status
    request_id TEXT NOT NULL,      -- request
    detail TEXT,                   -- redacted request
    created_at_us INTEGER NOT NULL, -- when
    previous_hash BLOB NOT NULL,   -- hash of the event before
    hash BLOB NOT NULL             -- over this event and the hash before
) STRICT;
