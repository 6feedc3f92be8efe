-- set_admin_token: what a call says about an admin token. One row changed.
UPDATE admin_tokens
SET role = :role, scopes = :scopes, is_disabled = :is_disabled, expires_at_us = :expires_at_us
WHERE name = :name
