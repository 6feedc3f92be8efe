-- list_version_blobs: at most :count_max segments of a version, the first ones left.
SELECT ordinal, blob_id FROM object_segments WHERE version_seq = :version_seq ORDER BY ordinal LIMIT :count_max
