-- count_intents_of_backend: pieces announced on a backend and not settled. One row.
SELECT COUNT(*) FROM pending_objects WHERE backend_id = :backend_id
