-- lock_admin_token: wait for whoever changes an admin token, and hold up those that want to. At most one row out.
SELECT 1 FROM admin_tokens WHERE name = :name FOR UPDATE
