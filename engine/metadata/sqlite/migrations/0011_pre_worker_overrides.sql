-- What operators set for a worker stands beside what the configuration says, so that neither undoes the other.

ALTER TABLE worker_settings ADD COLUMN paused_at_us INTEGER; -- when; null: it is not paused
ALTER TABLE worker_settings ADD COLUMN override_is_enabled INTEGER; -- as is_enabled, set by an operator; null: the configuration's holds
ALTER TABLE worker_settings ADD COLUMN override_interval_s REAL; -- as interval_s, set by an operator; null: the configuration's holds
ALTER TABLE worker_settings ADD COLUMN override_rate_bytes INTEGER; -- as rate_bytes, set by an operator, 0 for no bound; null: the configuration's holds
ALTER TABLE worker_settings ADD COLUMN overridden_by TEXT; -- who set one of these last; null: nobody
ALTER TABLE worker_settings ADD COLUMN overridden_at_us INTEGER; -- when; null: never
