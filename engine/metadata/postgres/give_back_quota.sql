-- give_back_quota: used bytes are used no more. One row changed.
-- What the shares have above the limit goes with the bytes, so that it never becomes room for others.
UPDATE backend_quotas
SET used_bytes = used_bytes - :bytes, object_count = object_count - :objects,
    share_bytes = share_bytes - GREATEST(0, LEAST(:bytes,
        (SELECT SUM(o.share_bytes) FROM backend_quotas AS o WHERE o.subject = :subject)::bigint
        - (SELECT l.limit_bytes FROM quota_limits AS l WHERE l.subject = :subject)))
WHERE subject = :subject AND stripe = :stripe
