-- delete_retired: the work is done. One row changed.
DELETE FROM retired WHERE retired_id = ANY (ARRAY[:retired_id]::bigint[])
