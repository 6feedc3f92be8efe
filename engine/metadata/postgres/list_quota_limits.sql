-- list_quota_limits: every account with its limit. As many rows as there are backends and buckets.
SELECT subject, limit_bytes FROM quota_limits ORDER BY subject
