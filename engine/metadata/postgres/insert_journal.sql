-- insert_journal: the after-image of a change. One row changed.
INSERT INTO journal (kind, payload, created_at_us, unit_id) VALUES (:kind, :payload, :now_us, :unit_id)
