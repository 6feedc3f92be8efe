-- find_placement: a backend's kind and state, and the state of one of its volumes, null when it has none. At most one row.
SELECT b.kind, s.state, v.state
FROM backends AS b
JOIN backend_states AS s ON s.backend_id = b.backend_id
LEFT JOIN volumes AS v ON v.volume_id = :volume_id
WHERE b.backend_id = :backend_id
