-- set_access_key: what a call says about an access key. One row changed.
UPDATE access_keys SET is_disabled = :is_disabled, expires_at_us = :expires_at_us WHERE access_key_id = :access_key_id
