-- insert_identity: somebody who may sign requests. One row out.
INSERT INTO identities (name, account_id, role, buckets, origin, created_at_us)
VALUES (:name, :account_id, :role, :buckets, :origin, :now_us)
RETURNING identity_id
