-- restore_admin_token: an admin token as an image tells it; when it was last used is not told. One row changed.
INSERT INTO admin_tokens (name, role, sha256, scopes, is_disabled, expires_at_us, origin, created_at_us)
VALUES (:name, :role, :sha256, :scopes, :is_disabled, :expires_at_us, :origin, :created_at_us)
ON CONFLICT (name) DO UPDATE
SET role = excluded.role, sha256 = excluded.sha256, scopes = excluded.scopes, is_disabled = excluded.is_disabled,
    expires_at_us = excluded.expires_at_us, origin = excluded.origin
