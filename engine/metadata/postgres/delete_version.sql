-- delete_version: a retired version is gone. One row changed.
DELETE FROM object_versions WHERE version_seq = ANY (ARRAY[:version_seq]::bigint[]) AND state = 'retired'
