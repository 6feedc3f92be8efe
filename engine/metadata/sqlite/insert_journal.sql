-- insert_journal: the after-image of a change. One row changed.
INSERT INTO journal (kind, payload, created_at_us) VALUES (:kind, :payload, :now_us)
