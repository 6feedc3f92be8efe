-- set_version_tags: a live version has other tags. One row out: how often its tags were changed by now.
UPDATE object_versions SET tags = :tags, tag_revision = tag_revision + 1
WHERE version_seq = :version_seq AND state = 'live'
RETURNING tag_revision
