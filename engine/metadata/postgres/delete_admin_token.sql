-- delete_admin_token: an admin token is gone. One row changed.
DELETE FROM admin_tokens WHERE name = :name
