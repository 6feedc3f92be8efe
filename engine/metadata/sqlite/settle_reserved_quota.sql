-- settle_reserved_quota: a promise ends, part of it used. One row changed.
UPDATE backend_quotas
SET reserved_bytes = reserved_bytes - :reserved_bytes, used_bytes = used_bytes + :used_bytes,
    object_count = object_count + :objects
WHERE subject = :subject AND stripe = :stripe
