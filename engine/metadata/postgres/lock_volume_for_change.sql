-- lock_volume_for_change: wait for all that come to name a volume, before its state changes. At most one row out.
SELECT 1 FROM volumes WHERE volume_id = :volume_id FOR UPDATE
