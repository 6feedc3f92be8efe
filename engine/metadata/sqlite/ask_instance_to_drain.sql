-- ask_instance_to_drain: from now on, or with null no more. One row changed, or none for an unknown instance.
UPDATE instances
SET draining_since_us = CASE WHEN CAST(:since_us AS INTEGER) IS NULL THEN NULL ELSE COALESCE(draining_since_us, :since_us) END
WHERE instance_id = :instance_id
