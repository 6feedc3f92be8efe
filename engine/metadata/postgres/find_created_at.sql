-- find_created_at: exactly one row: when a version was created.
SELECT created_at_us
FROM object_versions
WHERE version_seq = :version_seq
