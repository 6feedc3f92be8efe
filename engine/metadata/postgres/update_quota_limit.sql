-- update_quota_limit: the limit is another one. One row changed.
UPDATE quota_limits SET limit_bytes = :limit_bytes WHERE subject = :subject
