-- begin_scrub_pass: a pass over a backend begins. One row changed.
INSERT INTO scrub_passes (backend_id, cursor, begun_at_us, ended_at_us, piece_count, passed_bytes, bad_count)
VALUES (:backend_id, '', :now_us, NULL, 0, 0, 0)
ON CONFLICT (backend_id) DO UPDATE SET cursor = '', begun_at_us = excluded.begun_at_us, ended_at_us = NULL,
    piece_count = 0, passed_bytes = 0, bad_count = 0
