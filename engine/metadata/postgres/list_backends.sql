-- list_backends: all of them, by name.
SELECT b.backend_id, b.name, b.kind, b.node, b.failure_domain, b.identity_id, b.identity_state, s.state
FROM backends AS b
JOIN backend_states AS s ON s.backend_id = b.backend_id
ORDER BY b.name
