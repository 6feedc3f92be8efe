-- disable_other_access_keys: keys of an identity that the configuration gives it no more.
UPDATE access_keys SET is_disabled = 1 WHERE identity_id = :identity_id AND access_key_id <> :access_key_id
