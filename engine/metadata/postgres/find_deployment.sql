-- find_deployment: at most one row.
SELECT deployment_id, node, created_at_us, seen_us FROM deployment
