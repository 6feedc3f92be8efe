-- Stores that take no objects beyond a size are not asked to.

ALTER TABLE backend_terms ADD COLUMN object_bytes_max BIGINT; -- most bytes of one object there, a piece with all that stands beside it; null: no limit

COMMENT ON COLUMN backend_terms.object_bytes_max IS 'most bytes of one object there, a piece with all that stands beside it; null: no limit';
