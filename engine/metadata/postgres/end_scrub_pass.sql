-- end_scrub_pass: a pass has come to its end. One row changed.
UPDATE scrub_passes SET ended_at_us = :now_us, whole_begun_at_us = begun_at_us
WHERE backend_id = :backend_id AND ended_at_us IS NULL
