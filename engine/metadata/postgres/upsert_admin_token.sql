-- upsert_admin_token: a token of the configuration, by its hash. One row changed, or none when the API made one of that
-- name.
INSERT INTO admin_tokens (name, role, sha256, scopes, expires_at_us, origin, created_at_us)
VALUES (:name, :role, :sha256, :scopes, :expires_at_us, :origin, :now_us)
ON CONFLICT (name) DO UPDATE SET role = :role, sha256 = :sha256, scopes = :scopes,
    expires_at_us = :expires_at_us, is_disabled = FALSE
WHERE admin_tokens.origin = 'config'
