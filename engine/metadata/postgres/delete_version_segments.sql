-- delete_version_segments: the segments up to an ordinal are gone.
DELETE FROM object_segments WHERE version_seq = :version_seq AND ordinal <= :ordinal
