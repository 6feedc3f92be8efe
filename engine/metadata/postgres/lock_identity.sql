-- lock_identity: wait for whoever changes an identity, and hold up those that want to. At most one row out.
SELECT 1 FROM identities WHERE name = :name FOR UPDATE
