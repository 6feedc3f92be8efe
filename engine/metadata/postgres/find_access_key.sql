-- find_access_key: at most one row: a key and whose it is.
SELECT k.access_key_id, k.sealed_secret, k.key_id, i.name, i.account_id, a.name, i.role, i.buckets,
    k.is_disabled OR i.is_disabled, LEAST(COALESCE(k.expires_at_us, :never), COALESCE(i.expires_at_us, :never))
FROM access_keys AS k
JOIN identities AS i ON i.identity_id = k.identity_id
JOIN accounts AS a ON a.account_id = i.account_id
WHERE k.access_key_id = :access_key_id
