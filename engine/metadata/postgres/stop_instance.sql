-- stop_instance: the last of its processes stopped cleanly. One row changed, or none while another runs.
UPDATE instances SET stopped_at_us = :now_us
WHERE instance_id = (SELECT instance_id FROM processes WHERE process_id = :process_id)
    AND NOT EXISTS (
        SELECT 1 FROM processes AS p
        WHERE p.instance_id = instances.instance_id AND p.stopped_at_us IS NULL
    )
