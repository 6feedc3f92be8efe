-- insert_part: a part stands. One row out.
INSERT INTO multipart_parts (upload_id, part_number, size_bytes, etag, checksums, created_at_us)
VALUES (:upload_id, :part_number, :size_bytes, :etag, :checksums, :now_us)
RETURNING part_seq
