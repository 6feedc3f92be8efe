-- free_orphan_quota: bytes that waited for deletion are gone. One row changed.
-- What the shares have above the limit goes with the bytes, so that it never becomes room for others.
UPDATE backend_quotas
SET orphan_bytes = orphan_bytes - :bytes,
    share_bytes = share_bytes - GREATEST(0, LEAST(:bytes,
        (SELECT SUM(o.share_bytes) FROM backend_quotas AS o WHERE o.subject = :subject)::bigint
        - (SELECT l.limit_bytes FROM quota_limits AS l WHERE l.subject = :subject)))
WHERE subject = :subject AND stripe = :stripe
