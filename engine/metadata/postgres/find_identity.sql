-- find_identity: at most one row, by name.
SELECT identity_id, origin FROM identities WHERE name = :name
