-- delete_access_keys_of: an identity's access keys are gone. One row out for each.
DELETE FROM access_keys WHERE identity_id = :identity_id
RETURNING access_key_id
