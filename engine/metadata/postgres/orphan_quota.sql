-- orphan_quota: used bytes wait for deletion. One row changed; the stripe's sum stays as it was.
UPDATE backend_quotas
SET used_bytes = used_bytes - :bytes, orphan_bytes = orphan_bytes + :bytes, object_count = object_count - :objects
WHERE subject = :subject AND stripe = :stripe
