-- retire_version: the version leaves every listing, the bucket and its quota at once. One row changed.
UPDATE object_versions SET state = 'retired', is_current = FALSE, bucket_id = NULL
WHERE version_seq = ANY (ARRAY[:version_seq]::bigint[]) AND state = 'live'
