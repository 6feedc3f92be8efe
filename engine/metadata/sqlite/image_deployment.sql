-- image_deployment: the deployment as its journal image tells it. One row.
SELECT deployment_id, node, created_at_us FROM deployment
