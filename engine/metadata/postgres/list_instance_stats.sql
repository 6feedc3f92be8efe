-- list_instance_stats: what instances said of late, by instance. As many rows as instances are alive.
SELECT instance_id, sampled_at_us, document FROM instance_stats
WHERE sampled_at_us >= :since_us
ORDER BY instance_id
LIMIT :count_max
