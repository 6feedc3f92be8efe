-- find_null_version: at most one row: the key's null version wherever it stands.
SELECT version_seq, version_id, etag, size_bytes, is_delete_marker, retention_mode, retain_until_us, legal_hold
FROM object_versions
WHERE bucket_id = :bucket_id AND object_key = :object_key AND state = 'live' AND version_id = 'null'
