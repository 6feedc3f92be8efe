-- lock_access_key: wait for whoever changes an access key, and hold up those that want to. At most one row out.
SELECT 1 FROM access_keys WHERE access_key_id = :access_key_id FOR UPDATE
