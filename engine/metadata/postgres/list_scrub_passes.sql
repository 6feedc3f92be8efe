-- list_scrub_passes: how far the scrubber has come, one row for each backend it has begun with.
SELECT backend_id, cursor, begun_at_us, ended_at_us, piece_count, passed_bytes, bad_count, whole_begun_at_us
FROM scrub_passes
ORDER BY backend_id
