-- find_blob_at: at most one row: the blob that is :skip_count + 1 behind one, in the order of ids.
SELECT blob_id FROM blobs WHERE blob_id > :after ORDER BY blob_id LIMIT 1 OFFSET :skip_count
