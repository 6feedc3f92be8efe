-- find_version_for_write: at most one row: what a writer must know of one version of a key.
SELECT version_seq, version_id, etag, size_bytes, is_delete_marker, retention_mode, retain_until_us, legal_hold
FROM object_versions
WHERE bucket_id = :bucket_id AND object_key = :object_key AND state = 'live' AND version_id = :version_id
