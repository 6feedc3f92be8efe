-- find_backend_placement: at most one row: kind of the backend and whether it takes placements.
SELECT b.kind, s.state
FROM backends AS b
JOIN backend_states AS s ON s.backend_id = b.backend_id
WHERE b.backend_id = :backend_id
