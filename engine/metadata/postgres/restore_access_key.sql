-- restore_access_key: an access key as an image tells it; when it was last used is not told. One row changed.
INSERT INTO access_keys (access_key_id, identity_id, sealed_secret, key_id, is_disabled, expires_at_us, created_at_us)
VALUES (:access_key_id, :identity_id, :sealed_secret, :key_id, :is_disabled, :expires_at_us, :created_at_us)
ON CONFLICT (access_key_id) DO UPDATE
SET identity_id = excluded.identity_id, sealed_secret = excluded.sealed_secret, key_id = excluded.key_id,
    is_disabled = excluded.is_disabled, expires_at_us = excluded.expires_at_us
