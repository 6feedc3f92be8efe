-- The checksum of a part outlives its upload: readers of a part by its number, and those who ask for an object's
-- attributes, hold bytes against it.

ALTER TABLE object_segments ADD COLUMN part_digest TEXT; -- base64 of the part's checksum, of the version's algorithm, on the part's first slice; null: none
