-- upsert_discrepancy: a comparison found something, or found it again. One row changed.
INSERT INTO discrepancies (backend_id, direction, kind, subject, blob_id, piece_index, size_bytes, detail, run_id,
    found_at_us)
VALUES (:backend_id, :direction, :kind, :subject, :blob_id, :piece_index, :size_bytes, :detail, :run_id, :now_us)
ON CONFLICT (backend_id, kind, subject) DO UPDATE SET direction = excluded.direction, blob_id = excluded.blob_id,
    piece_index = excluded.piece_index, size_bytes = excluded.size_bytes, detail = excluded.detail,
    run_id = excluded.run_id, found_at_us = excluded.found_at_us, resolution = NULL, resolved_at_us = NULL
