-- unset_current: the version is current no more and stays. One row changed.
UPDATE object_versions SET is_current = FALSE WHERE version_seq = ANY (ARRAY[:version_seq]::bigint[])
