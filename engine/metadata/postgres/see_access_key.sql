-- see_access_key: at most one row: an access key by its id, as see_access_keys has them.
SELECT k.access_key_id, i.name, i.origin, k.is_disabled, k.expires_at_us, i.is_disabled, i.expires_at_us, k.created_at_us,
    k.last_used_us
FROM access_keys AS k
JOIN identities AS i ON i.identity_id = k.identity_id
WHERE k.access_key_id = :access_key_id
