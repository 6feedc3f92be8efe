-- ask_instance_to_stop: by a time; a later wish may bring that nearer, not move it away, and one that is carried out
-- stays as it is. One row changed, or none for an unknown instance.
UPDATE instances
SET stop_by_us = CASE WHEN stop_by_us < :stop_by_us THEN stop_by_us ELSE :stop_by_us END,
    draining_since_us = COALESCE(draining_since_us, :now_us)
WHERE instance_id = :instance_id
