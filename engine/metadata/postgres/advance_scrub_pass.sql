-- advance_scrub_pass: a pass has come further. One row changed.
UPDATE scrub_passes
SET cursor = :cursor, piece_count = piece_count + :piece_count, passed_bytes = passed_bytes + :passed_bytes,
    bad_count = bad_count + :bad_count
WHERE backend_id = :backend_id
