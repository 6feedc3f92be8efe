-- add_orphan_quota: bytes that no row counted wait for deletion. One row changed; the share grows if it must,
-- because the bytes are there whether they were allowed or not.
UPDATE backend_quotas
SET orphan_bytes = orphan_bytes + :bytes,
    share_bytes = CASE
        WHEN share_bytes IS NULL THEN NULL
        ELSE GREATEST(share_bytes, used_bytes + orphan_bytes + reserved_bytes + :bytes)
    END
WHERE subject = :subject AND stripe = :stripe
