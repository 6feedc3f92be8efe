-- What of a backend was used in a month, against its limits. Nothing has written the first shape of backend_usage.

DROP TABLE backend_usage;

CREATE TABLE usage_limits (
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- backend
    kind TEXT NOT NULL, -- what is limited: write_requests, read_requests, egress_bytes or ingress_bytes
    amount BIGINT NOT NULL, -- most of it in a month
    PRIMARY KEY (backend_id, kind)
);

CREATE TABLE backend_usage (
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- backend
    period TEXT NOT NULL, -- month by UTC, YYYY-MM
    kind TEXT NOT NULL, -- what was used, one of the limited ones or delete_requests
    taken BIGINT NOT NULL CHECK (taken >= 0), -- used, or leased to processes which may use it
    PRIMARY KEY (backend_id, period, kind)
);

CREATE TABLE usage_leases (
    process_id BYTEA NOT NULL, -- process that may use it
    backend_id INTEGER NOT NULL REFERENCES backends (backend_id), -- backend
    period TEXT NOT NULL, -- month by UTC, YYYY-MM
    kind TEXT NOT NULL, -- what may be used
    amount BIGINT NOT NULL CHECK (amount >= 0), -- what was left of it when the process last told; it stands in taken as well
    PRIMARY KEY (process_id, backend_id, period, kind)
);

COMMENT ON COLUMN usage_limits.backend_id IS 'backend';
COMMENT ON COLUMN usage_limits.kind IS 'what is limited: write_requests, read_requests, egress_bytes or ingress_bytes';
COMMENT ON COLUMN usage_limits.amount IS 'most of it in a month';
COMMENT ON COLUMN backend_usage.backend_id IS 'backend';
COMMENT ON COLUMN backend_usage.period IS 'month by UTC, YYYY-MM';
COMMENT ON COLUMN backend_usage.kind IS 'what was used, one of the limited ones or delete_requests';
COMMENT ON COLUMN backend_usage.taken IS 'used, or leased to processes which may use it';
COMMENT ON COLUMN usage_leases.process_id IS 'process that may use it';
COMMENT ON COLUMN usage_leases.backend_id IS 'backend';
COMMENT ON COLUMN usage_leases.period IS 'month by UTC, YYYY-MM';
COMMENT ON COLUMN usage_leases.kind IS 'what may be used';
COMMENT ON COLUMN usage_leases.amount IS 'what was left of it when the process last told; it stands in taken as well';
