-- find_blob_size: one row when the blob stands; the reaper deletes it in the transaction that frees its pieces.
SELECT size_bytes FROM blobs WHERE blob_id = :blob_id
