-- settle_reserved_quota: a promise ends, part of it used. One row changed.
-- What the shares have above the limit goes with the unused part, so that it never becomes room for others.
-- The stripe is locked already (lock_stripe), and whoever raises shares above the limit, or lowers it, locks every
-- stripe: none of them is under way, so no excess is overlooked. Others that shrink their stripes may count the same
-- excess twice; then the shares sum up to less than the limit, never to less than is held, until room is gathered,
-- which makes that good. GREATEST and LEAST pass over nulls, and SQLite's are null: a share without limit is null anyway.
UPDATE backend_quotas
SET reserved_bytes = reserved_bytes - :reserved_bytes, used_bytes = used_bytes + :used_bytes,
    object_count = object_count + :objects,
    share_bytes = share_bytes - GREATEST(0, LEAST(:reserved_bytes - :used_bytes,
        (SELECT SUM(o.share_bytes) FROM backend_quotas AS o WHERE o.subject = :subject)::bigint
        - (SELECT l.limit_bytes FROM quota_limits AS l WHERE l.subject = :subject)))
WHERE subject = :subject AND stripe = :stripe
