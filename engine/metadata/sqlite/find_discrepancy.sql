-- find_discrepancy: at most one row: the kept finding of a kind about a subject.
SELECT discrepancy_id, backend_id, direction, kind, subject, blob_id, piece_index, size_bytes, detail, found_at_us,
    resolution, resolved_at_us
FROM discrepancies
WHERE backend_id = :backend_id AND kind = :kind AND subject = :subject
