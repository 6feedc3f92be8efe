-- has_identity: one row when there is an identity of that id.
SELECT 1 FROM identities WHERE identity_id = :identity_id
