-- has_admin_token: one row if any token is in force or was until it expired.
SELECT 1 FROM admin_tokens WHERE is_disabled = FALSE LIMIT 1
