-- insert_quota_stripe: one stripe of a subject's account. One row changed, or none when it was there.
INSERT INTO backend_quotas (subject, stripe, share_bytes) VALUES (:subject, :stripe, :share_bytes)
ON CONFLICT (subject, stripe) DO NOTHING
