-- insert_admin_token: there is one more admin token, by its hash. One row changed, or none when the name is taken.
INSERT INTO admin_tokens (name, role, sha256, scopes, expires_at_us, origin, created_at_us)
VALUES (:name, :role, :sha256, :scopes, :expires_at_us, :origin, :now_us)
ON CONFLICT (name) DO NOTHING
