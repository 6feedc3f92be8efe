-- requeue_cleanup: a dead letter gets all its tries again. One row changed, or none when its key waits already.
INSERT INTO cleanup_queue (backend_id, storage_key, reason, size_bytes, not_before_us, next_retry_us)
SELECT backend_id, storage_key, reason, size_bytes, :now_us, :now_us FROM cleanup_dlq WHERE cleanup_id = :cleanup_id
ON CONFLICT (backend_id, storage_key) DO NOTHING
