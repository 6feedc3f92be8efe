-- has_deletion_in_range: one row when a storage key of the range waits for its deletion, or that was given up.
SELECT 1 FROM cleanup_queue WHERE backend_id = :backend_id AND storage_key > :after AND storage_key < :before
UNION ALL
SELECT 1 FROM cleanup_dlq WHERE backend_id = :backend_id AND storage_key > :after AND storage_key < :before
LIMIT 1
