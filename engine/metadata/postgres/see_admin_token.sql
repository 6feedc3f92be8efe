-- see_admin_token: at most one row: an admin token by its name, as list_admin_tokens has them.
SELECT name, role, scopes, is_disabled, expires_at_us, origin, created_at_us, last_used_us FROM admin_tokens WHERE name = :name
