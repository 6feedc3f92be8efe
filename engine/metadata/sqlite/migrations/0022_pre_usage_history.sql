-- What backends were used for and what lay there, and what buckets held: by the hour and by the day.

CREATE TABLE usage_history (
    subject TEXT NOT NULL, -- backend:<id> or bucket:<id>
    step TEXT NOT NULL CHECK (step IN ('hour', 'day')), -- how long it is
    starts_us INTEGER NOT NULL, -- when the hour or day began, by UTC
    used TEXT NOT NULL, -- JSON object: what was used in it, by kind
    used_of_month TEXT NOT NULL, -- JSON object: what had been used of the month at the last look in it, by kind
    stored_bytes INTEGER NOT NULL, -- what lay there at the last look in it; of buckets logical bytes
    PRIMARY KEY (subject, step, starts_us)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_history_by_age ON usage_history (step, starts_us);
