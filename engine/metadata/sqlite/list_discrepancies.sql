-- list_discrepancies: at most :count_max findings after one, in the order of finding; of one backend, kind or state if asked.
SELECT discrepancy_id, backend_id, direction, kind, subject, blob_id, piece_index, size_bytes, detail, found_at_us,
    resolution, resolved_at_us
FROM discrepancies
WHERE discrepancy_id > :after
    AND (:backend_id IS NULL OR backend_id = :backend_id)
    AND (:kind IS NULL OR kind = :kind)
    AND (:is_open = 0 OR resolved_at_us IS NULL)
ORDER BY discrepancy_id
LIMIT :count_max
