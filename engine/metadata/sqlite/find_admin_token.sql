-- find_admin_token: at most one row, by the token's hash; none for one that is disabled or expired.
SELECT name, role, scopes FROM admin_tokens
WHERE sha256 = :sha256 AND is_disabled = 0 AND (expires_at_us IS NULL OR expires_at_us > :now_us)
