-- delete_access_key: an access key is gone. One row changed.
DELETE FROM access_keys WHERE access_key_id = :access_key_id
