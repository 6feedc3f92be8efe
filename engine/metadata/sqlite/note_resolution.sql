-- note_resolution: what was done about a finding; with a time it is settled. One row changed, or none when it is gone.
UPDATE discrepancies SET resolution = :resolution, resolved_at_us = :resolved_at_us
WHERE discrepancy_id = :discrepancy_id
