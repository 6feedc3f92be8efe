-- see_access_keys: at most :count_max access keys behind one, of an identity or of all, without their secrets.
SELECT k.access_key_id, i.name, i.origin, k.is_disabled, k.expires_at_us, i.is_disabled, i.expires_at_us, k.created_at_us,
    k.last_used_us
FROM access_keys AS k
JOIN identities AS i ON i.identity_id = k.identity_id
WHERE k.access_key_id > :after AND (:identity_id::bigint IS NULL OR k.identity_id = :identity_id)
ORDER BY k.access_key_id
LIMIT :count_max
