-- update_deployment_node: the deployment has its first volumes, and with them its node. One row changed.
UPDATE deployment SET node = :node WHERE node IS NULL
