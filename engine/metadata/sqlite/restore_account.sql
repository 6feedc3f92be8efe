-- restore_account: an account as an image tells it. One row changed.
INSERT INTO accounts (account_id, name, origin, created_at_us)
VALUES (:account_id, :name, :origin, :created_at_us)
ON CONFLICT (account_id) DO UPDATE SET name = excluded.name, origin = excluded.origin
