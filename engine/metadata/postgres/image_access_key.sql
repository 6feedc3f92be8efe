-- image_access_key: an access key as its journal image tells it. One row.
SELECT access_key_id, identity_id, sealed_secret, key_id, is_disabled, expires_at_us, created_at_us FROM access_keys
WHERE access_key_id = :access_key_id
