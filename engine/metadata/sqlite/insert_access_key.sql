-- insert_access_key: an identity has one more key, its secret sealed. One row changed, or none when the id is taken.
INSERT INTO access_keys (access_key_id, identity_id, sealed_secret, key_id, expires_at_us, created_at_us)
VALUES (:access_key_id, :identity_id, :sealed_secret, :key_id, :expires_at_us, :now_us)
ON CONFLICT (access_key_id) DO NOTHING
