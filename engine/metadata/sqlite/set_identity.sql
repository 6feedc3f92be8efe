-- set_identity: what a call says about an identity. One row changed.
UPDATE identities SET role = :role, buckets = :buckets, is_disabled = :is_disabled, expires_at_us = :expires_at_us
WHERE identity_id = :identity_id
