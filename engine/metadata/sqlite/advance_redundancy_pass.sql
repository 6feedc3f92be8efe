-- advance_redundancy_pass: where a pass has come to. One row changed.
UPDATE redundancy_passes SET cursor = :cursor, seen_count = seen_count + :seen_count,
    found_count = found_count + :found_count
WHERE subject = :subject
