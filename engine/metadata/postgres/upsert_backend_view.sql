-- upsert_backend_view: how an instance sees a backend now. One row changed.
INSERT INTO backend_views (backend_id, instance_id, problem, seen_at_us)
VALUES (:backend_id, :instance_id, :problem, :now_us)
ON CONFLICT (backend_id, instance_id) DO UPDATE SET problem = :problem, seen_at_us = :now_us
