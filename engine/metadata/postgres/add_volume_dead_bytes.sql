-- add_volume_dead_bytes: record bytes of a volume that no row names any more. One row changed, none on other kinds.
UPDATE volumes SET dead_bytes = dead_bytes + :bytes WHERE volume_id = :volume_id
