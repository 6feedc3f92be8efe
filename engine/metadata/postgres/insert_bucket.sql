-- insert_bucket: a bucket exists. One row out; the caller has looked for the name in the same transaction.
INSERT INTO buckets (name, account_id, created_at_us, versioning, scheme, seal, quota_bytes, origin)
VALUES (:name, :account_id, :now_us, :versioning, :scheme, :seal, :quota_bytes, :origin)
RETURNING bucket_id
