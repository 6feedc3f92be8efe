-- delete_volume: the file is unlinked, its row goes. One row changed; only a gone volume goes.
DELETE FROM volumes WHERE volume_id = :volume_id AND state = 'gone'
