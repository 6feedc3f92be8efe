-- Tags stand in the row of their version: a write that has some, a read that counts them and a copy that takes them along
-- need no statement more.

ALTER TABLE object_versions ADD COLUMN tags TEXT; -- JSON object of tags; null: none
ALTER TABLE object_versions ADD COLUMN tag_revision INTEGER NOT NULL DEFAULT 0; -- grows with every change of the tags
ALTER TABLE multipart_uploads ADD COLUMN tags TEXT; -- as the version will carry it
