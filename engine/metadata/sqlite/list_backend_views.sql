-- list_backend_views: how each instance that was seen since a time sees a backend.
SELECT instance_id, health, phi, breaker, problem, seen_at_us FROM backend_views
WHERE backend_id = :backend_id AND seen_at_us >= :since_us
ORDER BY instance_id
