-- image_backend: a backend with its state and its limit as its journal image tells it. One row.
SELECT b.backend_id, b.name, b.kind, b.node, b.failure_domain, b.identity_id, b.identity_state, b.created_at_us,
    s.state, s.operation, s.reason, s.changed_at_us, l.limit_bytes
FROM backends AS b
JOIN backend_states AS s ON s.backend_id = b.backend_id
LEFT JOIN quota_limits AS l ON l.subject = 'backend:' || b.backend_id
WHERE b.backend_id = :backend_id
