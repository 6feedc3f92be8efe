-- update_identity: what a generation says about an identity that exists. One row changed.
UPDATE identities SET account_id = :account_id, role = :role, buckets = :buckets, is_disabled = FALSE
WHERE identity_id = :identity_id
