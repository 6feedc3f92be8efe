-- beat_instance: a sign of life of one of its processes. One row changed.
UPDATE instances SET heartbeat_at_us = :now_us
WHERE instance_id = (SELECT instance_id FROM processes WHERE process_id = :process_id)
