-- upsert_backend_view: how an instance sees a backend now. One row changed.
INSERT INTO backend_views (backend_id, instance_id, health, phi, breaker, problem, failed_since_us, seen_at_us)
VALUES (:backend_id, :instance_id, :health, :phi, :breaker, :problem, :failed_since_us, :now_us)
ON CONFLICT (backend_id, instance_id) DO UPDATE SET health = :health, phi = :phi, breaker = :breaker,
    problem = :problem, seen_at_us = :now_us,
    failed_since_us = CASE WHEN CAST(:failed_since_us AS BIGINT) IS NULL THEN NULL
        ELSE COALESCE(backend_views.failed_since_us, :failed_since_us) END
