-- find_volume_state: at most one row.
SELECT state FROM volumes WHERE volume_id = :volume_id
