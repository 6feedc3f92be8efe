-- list_admin_tokens: at most :count_max admin tokens behind a name, in the order of names, without their hashes.
SELECT name, role, scopes, is_disabled, expires_at_us, origin, created_at_us, last_used_us FROM admin_tokens
WHERE name > :after
ORDER BY name
LIMIT :count_max
