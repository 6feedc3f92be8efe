-- restore_bucket_document: a document as an image tells it. One row changed, or none when a later state of it is there or
-- the bucket is gone.
INSERT INTO bucket_configs (bucket_id, kind, document, revision)
SELECT bucket_id, CAST(:kind AS TEXT), CAST(:document AS TEXT), CAST(:revision AS BIGINT)
FROM buckets WHERE bucket_id = :bucket_id
ON CONFLICT (bucket_id, kind) DO UPDATE SET document = excluded.document, revision = excluded.revision
WHERE bucket_configs.revision <= excluded.revision
