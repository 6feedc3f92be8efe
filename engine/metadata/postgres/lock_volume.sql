-- lock_volume: keep a volume from being emptied until the commit. At most one row out.
-- KEY SHARE lets its counters change and its file be closed meanwhile.
SELECT 1 FROM volumes WHERE volume_id = :volume_id FOR KEY SHARE
