-- see_identity: at most one row: an identity by its name, as list_identities has them.
SELECT i.identity_id, i.name, i.account_id, a.name, i.role, i.buckets, i.is_disabled, i.expires_at_us, i.origin,
    i.created_at_us
FROM identities AS i
JOIN accounts AS a ON a.account_id = i.account_id
WHERE i.name = :name
