-- How far an instance trusts a backend, as it shows in its view of it.

ALTER TABLE backend_views ADD COLUMN health TEXT CHECK (health IN ('healthy', 'degraded', 'suspected', 'failed')); -- how far it is trusted with pieces; null: not said
