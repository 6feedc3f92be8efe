-- count_backend_locations: how many pieces lie on a backend, counted up to :count_max. One row.
SELECT COUNT(*) FROM (SELECT 1 FROM object_locations WHERE backend_id = :backend_id LIMIT :count_max) AS pieces
