-- replace_version_blob: the bytes of a live version lie in other blobs now, null: in its segments. One row changed, or
-- none when it was retired meanwhile.
UPDATE object_versions SET blob_id = :new_blob_id, sse_kind = :sse_kind
WHERE version_seq = :version_seq AND blob_id = :old_blob_id AND state = 'live'
