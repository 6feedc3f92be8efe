-- unset_current: the version is current no more and stays. One row changed.
UPDATE object_versions SET is_current = 0 WHERE version_seq = :version_seq
