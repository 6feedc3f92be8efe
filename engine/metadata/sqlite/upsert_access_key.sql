-- upsert_access_key: an identity's key, its secret sealed. One row changed.
INSERT INTO access_keys (access_key_id, identity_id, sealed_secret, key_id, created_at_us)
VALUES (:access_key_id, :identity_id, :sealed_secret, :key_id, :now_us)
ON CONFLICT (access_key_id) DO UPDATE
SET identity_id = :identity_id, sealed_secret = :sealed_secret, key_id = :key_id, is_disabled = 0,
    expires_at_us = NULL
