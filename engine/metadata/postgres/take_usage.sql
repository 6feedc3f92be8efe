-- take_usage: more was taken; no row changed when that would pass the limit.
UPDATE backend_usage SET taken = taken + :amount
WHERE backend_id = :backend_id AND period = :period AND kind = :kind
  AND NOT EXISTS (
    SELECT 1 FROM usage_limits AS l
    WHERE l.backend_id = backend_usage.backend_id AND l.kind = backend_usage.kind
      AND backend_usage.taken + :amount > l.amount
  )
