-- turn_switch: a switch is turned, whoever turned it before. One row changed.
INSERT INTO switches (name, is_on, reason, changed_by, changed_at_us)
VALUES (:name, :is_on, :reason, :changed_by, :now_us)
ON CONFLICT (name) DO UPDATE
SET is_on = :is_on, reason = :reason, changed_by = :changed_by, changed_at_us = :now_us
