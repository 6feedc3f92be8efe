-- restore_version_tags: a version's tags as an image tells them. One row changed, or none when a later state is there.
UPDATE object_versions SET tags = :tags, tag_revision = :tag_revision
WHERE version_seq = :version_seq AND state = 'live' AND tag_revision < :tag_revision
