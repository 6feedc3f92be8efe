-- give_back_quota: used bytes are used no more. One row changed.
UPDATE backend_quotas
SET used_bytes = used_bytes - :bytes, object_count = object_count - :objects
WHERE subject = :subject AND stripe = :stripe
