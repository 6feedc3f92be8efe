-- The rows of a bucket are found by its id alone, so that deleting one never looks through the versions of all.
-- Live and having a bucket is the same (CHECK), but only this form serves the bucket's foreign key too.

DROP INDEX object_versions_history;
CREATE INDEX object_versions_history ON object_versions (bucket_id, object_key, version_seq DESC) WHERE bucket_id IS NOT NULL;

DROP INDEX multipart_uploads_open;
CREATE INDEX multipart_uploads_open ON multipart_uploads (bucket_id, object_key, upload_id) WHERE bucket_id IS NOT NULL;
