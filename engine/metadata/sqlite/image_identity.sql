-- image_identity: an identity as its journal image tells it, by its unique name. One row.
SELECT identity_id, name, account_id, role, buckets, is_disabled, expires_at_us, origin, created_at_us FROM identities
WHERE name = :name
