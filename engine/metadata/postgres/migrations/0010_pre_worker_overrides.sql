-- What operators set for a worker stands beside what the configuration says, so that neither undoes the other.

ALTER TABLE worker_settings ADD COLUMN paused_at_us BIGINT; -- when; null: it is not paused
ALTER TABLE worker_settings ADD COLUMN override_is_enabled BOOLEAN; -- as is_enabled, set by an operator; null: the configuration's holds
ALTER TABLE worker_settings ADD COLUMN override_interval_s DOUBLE PRECISION; -- as interval_s, set by an operator; null: the configuration's holds
ALTER TABLE worker_settings ADD COLUMN override_rate_bytes BIGINT; -- as rate_bytes, set by an operator, 0 for no bound; null: the configuration's holds
ALTER TABLE worker_settings ADD COLUMN overridden_by TEXT COLLATE "C"; -- who set one of these last; null: nobody
ALTER TABLE worker_settings ADD COLUMN overridden_at_us BIGINT; -- when; null: never

COMMENT ON COLUMN worker_settings.paused_at_us IS 'when; null: it is not paused';
COMMENT ON COLUMN worker_settings.override_is_enabled IS 'as is_enabled, set by an operator; null: the configuration''s holds';
COMMENT ON COLUMN worker_settings.override_interval_s IS 'as interval_s, set by an operator; null: the configuration''s holds';
COMMENT ON COLUMN worker_settings.override_rate_bytes IS 'as rate_bytes, set by an operator, 0 for no bound; null: the configuration''s holds';
COMMENT ON COLUMN worker_settings.overridden_by IS 'who set one of these last; null: nobody';
COMMENT ON COLUMN worker_settings.overridden_at_us IS 'when; null: never';
