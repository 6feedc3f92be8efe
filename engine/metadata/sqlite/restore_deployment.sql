-- restore_deployment: the deployment as an image tells it. One row changed; the time seen is told by later images.
INSERT INTO deployment (one, deployment_id, node, created_at_us, seen_us)
VALUES (1, :deployment_id, :node, :created_at_us, :created_at_us)
ON CONFLICT (one) DO UPDATE SET node = excluded.node
