-- free_orphan_quota: bytes that waited for deletion are gone. One row changed.
UPDATE backend_quotas
SET orphan_bytes = orphan_bytes - :bytes
WHERE subject = :subject AND stripe = :stripe
