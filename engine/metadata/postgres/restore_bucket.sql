-- restore_bucket: a bucket as an image tells it. One row changed, or none when a later state of it is there.
INSERT INTO buckets (bucket_id, name, account_id, created_at_us, versioning, object_lock, scheme, seal, dedup,
    quota_bytes, revision, origin)
VALUES (:bucket_id, :name, :account_id, :created_at_us, :versioning, :object_lock, :scheme, :seal, :dedup,
    :quota_bytes, :revision, :origin)
ON CONFLICT (bucket_id) DO UPDATE
SET versioning = excluded.versioning, object_lock = excluded.object_lock, scheme = excluded.scheme,
    seal = excluded.seal, dedup = excluded.dedup, quota_bytes = excluded.quota_bytes, revision = excluded.revision,
    origin = excluded.origin
WHERE buckets.revision <= excluded.revision
