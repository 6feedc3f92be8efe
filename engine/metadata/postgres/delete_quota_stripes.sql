-- delete_quota_stripes: a subject's stripes are gone with it.
DELETE FROM backend_quotas WHERE subject = :subject
