-- list_backend_problems: what instances seen since a time say is wrong with a backend.
SELECT DISTINCT problem FROM backend_views
WHERE backend_id = :backend_id AND problem IS NOT NULL AND seen_at_us >= :since_us
