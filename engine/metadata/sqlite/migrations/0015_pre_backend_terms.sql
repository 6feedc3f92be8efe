-- What the configuration says of backends for routing by weight and by cost.

CREATE TABLE backend_terms (
    backend_id INTEGER PRIMARY KEY REFERENCES backends (backend_id), -- backend
    weight REAL NOT NULL,                    -- share of new pieces under weighted routing
    cost_per_gib REAL NOT NULL,              -- of storing a GiB, in the operator's currency
    cost_per_million_requests REAL NOT NULL  -- of a million writing requests, in the operator's currency
) STRICT;
