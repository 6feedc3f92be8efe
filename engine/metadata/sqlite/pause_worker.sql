-- pause_worker: a worker rests until a time, or until it is resumed. One row changed, or none when it is unknown.
UPDATE worker_settings
SET paused_by = :creator, paused_why = :why, paused_until_us = :until_us, paused_at_us = :now_us
WHERE worker = :worker
