-- is_blob_referenced: one row when anything points at the blob. Every kind of reference is listed here and nowhere else.
SELECT 1 WHERE EXISTS (SELECT 1 FROM object_versions WHERE blob_id = :blob_id)
    OR EXISTS (SELECT 1 FROM object_segments WHERE blob_id = :blob_id)
    OR EXISTS (SELECT 1 FROM multipart_part_segments WHERE blob_id = :blob_id)
