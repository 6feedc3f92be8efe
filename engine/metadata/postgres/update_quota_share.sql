-- update_quota_share: a stripe's part of the limit; never below what it holds. One row changed.
UPDATE backend_quotas
SET share_bytes = CASE
    WHEN :share_bytes::bigint IS NULL THEN NULL
    ELSE GREATEST(:share_bytes, used_bytes + orphan_bytes + reserved_bytes)
END
WHERE subject = :subject AND stripe = :stripe
