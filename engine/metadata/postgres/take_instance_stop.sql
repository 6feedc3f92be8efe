-- take_instance_stop: a process carries the stop of its instance out. One row changed, or none when another one does
-- or did; one that died before it told anybody does not.
UPDATE instances SET stop_taken_by = :process_id
WHERE instance_id = :instance_id AND stop_by_us IS NOT NULL
    AND (
        stop_taken_by IS NULL
        OR stop_taken_by IN (
            SELECT p.process_id FROM processes AS p
            WHERE p.stopped_at_us IS NULL AND p.heartbeat_at_us < :alive_us
        )
    )
