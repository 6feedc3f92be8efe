-- resume_worker: a worker rests no more. One row changed, or none when it is unknown.
UPDATE worker_settings
SET paused_by = NULL, paused_why = NULL, paused_until_us = NULL, paused_at_us = NULL
WHERE worker = :worker
