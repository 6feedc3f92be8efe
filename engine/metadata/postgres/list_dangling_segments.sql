-- list_dangling_segments: at most :count_max versions whose size is not what their segments hold.
SELECT v.version_seq FROM object_versions AS v
WHERE v.state = 'live' AND v.blob_id IS NULL AND v.is_delete_marker = FALSE
    AND v.size_bytes <> (SELECT COALESCE(SUM(s.length), 0) FROM object_segments AS s WHERE s.version_seq = v.version_seq)
LIMIT :count_max
