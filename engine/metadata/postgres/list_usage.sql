-- list_usage: a row for each account of a month and for each limit, with what live processes have not used of their leases.
SELECT k.backend_id, b.name, b.created_at_us, k.kind, COALESCE(u.taken, 0), l.amount, COALESCE((
    SELECT SUM(s.amount)::bigint FROM usage_leases AS s
    JOIN processes AS p ON p.process_id = s.process_id
    WHERE s.backend_id = k.backend_id AND s.period = :period AND s.kind = k.kind
      AND p.heartbeat_at_us >= :alive_us AND p.stopped_at_us IS NULL
), 0)
FROM (
    SELECT backend_id, kind FROM backend_usage WHERE period = :period
    UNION
    SELECT backend_id, kind FROM usage_limits
) AS k
JOIN backends AS b ON b.backend_id = k.backend_id
LEFT JOIN backend_usage AS u ON u.backend_id = k.backend_id AND u.kind = k.kind AND u.period = :period
LEFT JOIN usage_limits AS l ON l.backend_id = k.backend_id AND l.kind = k.kind
ORDER BY k.backend_id, k.kind
