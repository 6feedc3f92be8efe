-- unset_version_blob: a retired version points at its blob no more. One row changed.
UPDATE object_versions SET blob_id = NULL WHERE version_seq = :version_seq AND state = 'retired'
