-- override_worker: what an operator sets for a worker; nulls leave the configuration's. One row changed, or none when it
-- is unknown.
UPDATE worker_settings
SET override_is_enabled = :is_enabled, override_interval_s = :interval_s, override_rate_bytes = :rate_bytes,
    overridden_by = :creator, overridden_at_us = :now_us
WHERE worker = :worker
