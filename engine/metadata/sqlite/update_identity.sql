-- update_identity: what a generation says about an identity that exists. One row changed.
UPDATE identities SET account_id = :account_id, role = :role, buckets = :buckets, is_disabled = 0,
    expires_at_us = NULL
WHERE identity_id = :identity_id
