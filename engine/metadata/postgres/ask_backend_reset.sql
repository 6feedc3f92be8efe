-- ask_backend_reset: every process is to forget what it holds against a backend. One row changed; each time a later one.
INSERT INTO backend_resets (backend_id, asked_at_us)
VALUES (:backend_id, :now_us)
ON CONFLICT (backend_id) DO UPDATE SET asked_at_us = GREATEST(excluded.asked_at_us, backend_resets.asked_at_us + 1)
