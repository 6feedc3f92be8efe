-- insert_retired: work for the reaper. One row changed.
INSERT INTO retired (kind, target_seq, target_id, created_at_us) VALUES (:kind, :target_seq, :target_id, :now_us)
