-- upsert_admin_token: a token of the configuration, by its name; a new hash ends the old token. One row changed.
INSERT INTO admin_tokens (name, role, sha256, origin, created_at_us)
VALUES (:name, :role, :sha256, :origin, :now_us)
ON CONFLICT (name) DO UPDATE SET role = :role, sha256 = :sha256, is_disabled = 0
