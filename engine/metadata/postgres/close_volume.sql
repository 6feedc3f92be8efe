-- close_volume: nobody appends to the file any more. One row changed.
UPDATE volumes SET state = 'closed', owner_process = NULL, size_bytes = :size_bytes
WHERE volume_id = :volume_id AND state = 'open'
