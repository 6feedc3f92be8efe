-- restore_version_blob: where the bytes of a version lie, as its last image tells it. One row changed.
UPDATE object_versions SET blob_id = :blob_id, sse_kind = :sse_kind WHERE version_seq = :version_seq
