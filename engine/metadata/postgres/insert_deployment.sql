-- insert_deployment: the deployment exists. One row changed; a second one violates the primary key.
INSERT INTO deployment (one, deployment_id, node, created_at_us, seen_us)
VALUES (1, :deployment_id, :node, :now_us, :now_us)
