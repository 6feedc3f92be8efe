-- trigger_worker: a run is asked for. One row changed.
UPDATE worker_settings SET triggered_at_us = :now_us WHERE worker = :worker
