-- lock_blob_for_move: keep a blob from being freed and its pieces from being moved until the commit. At most one row out.
-- Rows that come to point at it take a weaker lock, which this one does not stop.
SELECT 1 FROM blobs WHERE blob_id = :blob_id FOR NO KEY UPDATE
