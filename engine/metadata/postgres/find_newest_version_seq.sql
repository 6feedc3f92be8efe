-- find_newest_version_seq: one row: the number of the newest version there is; null before the first.
SELECT MAX(version_seq) FROM object_versions
