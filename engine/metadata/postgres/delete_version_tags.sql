-- delete_version_tags: tags go with their version.
DELETE FROM object_tags WHERE version_seq = :version_seq
