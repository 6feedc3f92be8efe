-- restore_identity: an identity as an image tells it. One row changed.
INSERT INTO identities (identity_id, name, account_id, role, buckets, is_disabled, expires_at_us, origin, created_at_us)
VALUES (:identity_id, :name, :account_id, :role, :buckets, :is_disabled, :expires_at_us, :origin, :created_at_us)
ON CONFLICT (identity_id) DO UPDATE
SET name = excluded.name, account_id = excluded.account_id, role = excluded.role, buckets = excluded.buckets,
    is_disabled = excluded.is_disabled, expires_at_us = excluded.expires_at_us, origin = excluded.origin
