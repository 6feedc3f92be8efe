-- lock_blob: a blob may be deleted: wait for those that come to point at it. At most one row out.
SELECT 1 FROM blobs WHERE blob_id = :blob_id FOR UPDATE
