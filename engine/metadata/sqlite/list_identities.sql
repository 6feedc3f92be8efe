-- list_identities: at most :count_max identities behind a name, in the order of names.
SELECT i.identity_id, i.name, i.account_id, a.name, i.role, i.buckets, i.is_disabled, i.expires_at_us, i.origin,
    i.created_at_us
FROM identities AS i
JOIN accounts AS a ON a.account_id = i.account_id
WHERE i.name > :after
ORDER BY i.name
LIMIT :count_max
