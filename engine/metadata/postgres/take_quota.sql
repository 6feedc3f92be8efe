-- take_quota: bytes are used if the stripe has room. One row changed, or none without room.
UPDATE backend_quotas
SET used_bytes = used_bytes + :bytes, object_count = object_count + :objects
WHERE subject = :subject AND stripe = :stripe
    AND (share_bytes IS NULL OR used_bytes + orphan_bytes + reserved_bytes + :bytes <= share_bytes)
