-- insert_quota_limit: a subject has an account. One row changed, or none when it had one.
INSERT INTO quota_limits (subject, limit_bytes) VALUES (:subject, :limit_bytes)
ON CONFLICT (subject) DO NOTHING
