-- clear_trigger: what was asked for has begun. One row changed.
UPDATE worker_settings SET triggered_at_us = NULL WHERE worker = :worker
