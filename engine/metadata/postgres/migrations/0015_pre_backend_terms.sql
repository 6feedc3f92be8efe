-- What the configuration says of backends for routing by weight and by cost.

CREATE TABLE backend_terms (
    backend_id INTEGER PRIMARY KEY REFERENCES backends (backend_id), -- backend
    weight DOUBLE PRECISION NOT NULL,                    -- share of new pieces under weighted routing
    cost_per_gib DOUBLE PRECISION NOT NULL,              -- of storing a GiB, in the operator's currency
    cost_per_million_requests DOUBLE PRECISION NOT NULL  -- of a million writing requests, in the operator's currency
);

COMMENT ON COLUMN backend_terms.backend_id IS 'backend';
COMMENT ON COLUMN backend_terms.weight IS 'share of new pieces under weighted routing';
COMMENT ON COLUMN backend_terms.cost_per_gib IS 'of storing a GiB, in the operator''s currency';
COMMENT ON COLUMN backend_terms.cost_per_million_requests IS 'of a million writing requests, in the operator''s currency';
