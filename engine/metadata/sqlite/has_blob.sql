-- has_blob: one row when the blob stands; the reaper deletes it in the transaction that frees its pieces.
SELECT 1 FROM blobs WHERE blob_id = :blob_id
