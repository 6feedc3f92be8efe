-- list_redundancy_passes: every pass that is under way or waits, one row each.
SELECT subject, backend_id, phase, since_us, cursor, seen_count, found_count, ended_at_us FROM redundancy_passes
ORDER BY subject
