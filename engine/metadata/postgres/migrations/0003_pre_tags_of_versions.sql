-- Tags stand in the row of their version: a write that has some, a read that counts them and a copy that takes them along
-- need no statement more.

ALTER TABLE object_versions ADD COLUMN tags TEXT COLLATE "C"; -- JSON object of tags; null: none
ALTER TABLE object_versions ADD COLUMN tag_revision BIGINT NOT NULL DEFAULT 0; -- grows with every change of the tags
ALTER TABLE multipart_uploads ADD COLUMN tags TEXT COLLATE "C"; -- as the version will carry it

COMMENT ON COLUMN object_versions.tags IS 'JSON object of tags; null: none';
COMMENT ON COLUMN object_versions.tag_revision IS 'grows with every change of the tags';
COMMENT ON COLUMN multipart_uploads.tags IS 'as the version will carry it';
