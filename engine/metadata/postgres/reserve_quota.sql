-- reserve_quota: bytes are promised if the stripe has room. One row changed, or none without room.
UPDATE backend_quotas
SET reserved_bytes = reserved_bytes + :bytes
WHERE subject = :subject AND stripe = :stripe
    AND (share_bytes IS NULL OR used_bytes + orphan_bytes + reserved_bytes + :bytes <= share_bytes)
