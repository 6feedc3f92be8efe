-- restore_backend: a backend as an image tells it. One row changed.
INSERT INTO backends (backend_id, name, kind, node, failure_domain, identity_id, identity_state, created_at_us)
VALUES (:backend_id, :name, :kind, :node, :failure_domain, :identity_id, :identity_state, :created_at_us)
ON CONFLICT (backend_id) DO UPDATE
SET name = excluded.name, node = excluded.node, failure_domain = excluded.failure_domain,
    identity_id = excluded.identity_id, identity_state = excluded.identity_state
