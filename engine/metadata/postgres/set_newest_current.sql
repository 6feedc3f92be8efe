-- set_newest_current: the newest version left becomes current. One row changed, or none when none is left.
UPDATE object_versions SET is_current = TRUE
WHERE version_seq = (
    SELECT version_seq FROM object_versions
    WHERE bucket_id = :bucket_id AND object_key = :object_key AND state = 'live'
    ORDER BY version_seq DESC
    LIMIT 1
)
