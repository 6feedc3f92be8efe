-- find_retired_version: at most one row: what the reaper must know of a version.
SELECT blob_id, retention_mode, retain_until_us, legal_hold, state FROM object_versions WHERE version_seq = :version_seq
