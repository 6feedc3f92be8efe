-- list_backends: all of them, by name, with what trial writes of late found wrong. One of which nothing was said has the weight 1 and costs nothing.
SELECT b.backend_id, b.name, b.kind, b.node, b.failure_domain, b.identity_id, b.identity_state, s.state,
    COALESCE(t.weight, 1.0), COALESCE(t.cost_per_gib, 0.0), COALESCE(t.cost_per_million_requests, 0.0),
    t.object_bytes_max, c.problem
FROM backends AS b
JOIN backend_states AS s ON s.backend_id = b.backend_id
LEFT JOIN backend_terms AS t ON t.backend_id = b.backend_id
LEFT JOIN backend_canaries AS c ON c.backend_id = b.backend_id AND c.expires_at_us > :now_us
ORDER BY b.name
