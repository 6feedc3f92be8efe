-- disable_other_access_keys: keys of an identity that the configuration gives it no more.
-- One row out for each that was enabled.
UPDATE access_keys SET is_disabled = TRUE
WHERE identity_id = :identity_id AND is_disabled = FALSE AND access_key_id <> :access_key_id
RETURNING access_key_id
