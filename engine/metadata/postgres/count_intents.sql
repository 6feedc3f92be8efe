-- count_intents: one row.
SELECT COUNT(*) FROM pending_objects
