-- image_admin_token: an admin token as its journal image tells it. One row.
SELECT name, role, sha256, scopes, is_disabled, expires_at_us, origin, created_at_us FROM admin_tokens
WHERE name = :name
