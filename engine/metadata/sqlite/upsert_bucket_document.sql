-- upsert_bucket_document: a document of the bucket, as of the bucket's revision. One row changed.
INSERT INTO bucket_configs (bucket_id, kind, document, revision)
SELECT bucket_id, CAST(:kind AS TEXT), CAST(:document AS TEXT), revision FROM buckets WHERE bucket_id = :bucket_id
ON CONFLICT (bucket_id, kind) DO UPDATE SET document = excluded.document, revision = excluded.revision
