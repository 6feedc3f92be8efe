-- list_access_keys: at most :count_max rows: keys behind one, and whose they are, as find_access_key has them.
SELECT k.access_key_id, k.sealed_secret, k.key_id, i.name, i.account_id, a.name, i.role, i.buckets,
    k.is_disabled OR i.is_disabled, LEAST(COALESCE(k.expires_at_us, :never), COALESCE(i.expires_at_us, :never))
FROM access_keys AS k
JOIN identities AS i ON i.identity_id = k.identity_id
JOIN accounts AS a ON a.account_id = i.account_id
WHERE k.access_key_id > :after
ORDER BY k.access_key_id
LIMIT :count_max
