-- count_discrepancies: findings by backend, direction, kind and whether they are settled; one row each, with their bytes.
SELECT backend_id, direction, kind, resolved_at_us IS NOT NULL, COUNT(*), SUM(size_bytes)
FROM discrepancies
GROUP BY backend_id, direction, kind, resolved_at_us IS NOT NULL
ORDER BY backend_id, direction, kind
