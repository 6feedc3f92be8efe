-- Instances that share a PostgreSQL must not ask for more connections than it has. On SQLite there is nothing to share,
-- and the column is there for both to have the same.

ALTER TABLE instances ADD COLUMN connection_count_max INTEGER; -- database connections it may have; null: none to share
