-- delete_identity: an identity without access keys is gone. One row changed.
DELETE FROM identities WHERE identity_id = :identity_id
