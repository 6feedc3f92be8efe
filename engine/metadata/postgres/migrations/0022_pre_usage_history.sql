-- What backends were used for and what lay there, and what buckets held: by the hour and by the day.

CREATE TABLE usage_history (
    subject TEXT COLLATE "C" NOT NULL, -- backend:<id> or bucket:<id>
    step TEXT COLLATE "C" NOT NULL CHECK (step IN ('hour', 'day')), -- how long it is
    starts_us BIGINT NOT NULL, -- when the hour or day began, by UTC
    used TEXT COLLATE "C" NOT NULL, -- JSON object: what was used in it, by kind
    used_of_month TEXT COLLATE "C" NOT NULL, -- JSON object: what had been used of the month at the last look in it, by kind
    stored_bytes BIGINT NOT NULL, -- what lay there at the last look in it; of buckets logical bytes
    PRIMARY KEY (subject, step, starts_us)
);

CREATE INDEX usage_history_by_age ON usage_history (step, starts_us);

COMMENT ON COLUMN usage_history.subject IS 'backend:<id> or bucket:<id>';
COMMENT ON COLUMN usage_history.step IS 'how long it is';
COMMENT ON COLUMN usage_history.starts_us IS 'when the hour or day began, by UTC';
COMMENT ON COLUMN usage_history.used IS 'JSON object: what was used in it, by kind';
COMMENT ON COLUMN usage_history.used_of_month IS 'JSON object: what had been used of the month at the last look in it, by kind';
COMMENT ON COLUMN usage_history.stored_bytes IS 'what lay there at the last look in it; of buckets logical bytes';
