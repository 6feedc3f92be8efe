-- end_redundancy_pass: a pass has come to its end. One row changed.
UPDATE redundancy_passes SET ended_at_us = :now_us WHERE subject = :subject
