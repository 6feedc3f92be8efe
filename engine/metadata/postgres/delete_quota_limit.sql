-- delete_quota_limit: a subject's account is gone with it. One row changed.
DELETE FROM quota_limits WHERE subject = :subject
