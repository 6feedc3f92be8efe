-- insert_backend: a generation names a backend for the first time. One row out.
INSERT INTO backends (name, kind, node, failure_domain, identity_id, identity_state, created_at_us)
VALUES (:name, :kind, :node, :failure_domain, :identity_id, 'registering', :now_us)
RETURNING backend_id
