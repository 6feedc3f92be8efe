-- set_redundancy_pass: a pass begins, from the beginning. One row changed.
INSERT INTO redundancy_passes (subject, backend_id, phase, since_us, cursor, seen_count, found_count)
VALUES (:subject, :backend_id, :phase, :now_us, '', 0, 0)
ON CONFLICT (subject) DO UPDATE SET phase = :phase, since_us = :now_us, cursor = '', seen_count = 0, found_count = 0,
    ended_at_us = NULL
