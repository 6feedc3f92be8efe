-- list_open_operations: long work that has not ended, the oldest first, with the end of the lease it is held by.
-- At most :count_max rows.
SELECT o.name, o.method, o.cancel_requested, l.holder, l.expires_at_us
FROM operations AS o
LEFT JOIN worker_leases AS l ON l.worker = o.name
WHERE o.state IN ('pending', 'running') AND o.method <> :other_method
ORDER BY o.created_at_us, o.name
LIMIT :count_max
