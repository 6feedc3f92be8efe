-- find_version_at: at most one row: the version that is :skip_count + 1 behind one, in the order of numbers.
SELECT version_seq FROM object_versions WHERE version_seq > :after ORDER BY version_seq LIMIT 1 OFFSET :skip_count
