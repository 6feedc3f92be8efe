-- set_volume_state: a step in a volume's life, taken only from the state named. One row changed, or none.
UPDATE volumes
SET state = :to_state, owner_process = NULL, size_bytes = COALESCE(:size_bytes, size_bytes),
    unlink_after_us = :unlink_after_us
WHERE volume_id = :volume_id AND state = :from_state
