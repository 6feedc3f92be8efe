-- delete_blob: the blob is gone. One row changed.
DELETE FROM blobs WHERE blob_id = ANY (ARRAY[:blob_id]::bytea[])
