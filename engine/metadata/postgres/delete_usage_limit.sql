-- delete_usage_limit: a generation limits this no more. At most one row changed.
DELETE FROM usage_limits WHERE backend_id = :backend_id AND kind = :kind
