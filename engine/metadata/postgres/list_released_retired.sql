-- list_released_retired: at most :count_max rows that the reaper stopped at and nothing keeps it from any more: the
-- version is retired and no lock holds it now, or it is gone.
SELECT retired.retired_id FROM retired
LEFT JOIN object_versions ON object_versions.version_seq = retired.target_seq
WHERE retired.problem IS NOT NULL AND retired.kind = 'version' AND (
    object_versions.version_seq IS NULL
    OR (
        object_versions.state = 'retired' AND NOT object_versions.legal_hold
        AND (object_versions.retention_mode IS NULL OR object_versions.retain_until_us <= :now_us)
    )
)
ORDER BY retired.retired_id
LIMIT :count_max
