-- claim_dead_intents: at most :count_max intents that were not renewed for too long, or whose instance is dead.
-- One that was claimed is so again when the lease it was claimed under has ended, or without one, when that is long ago.
UPDATE pending_objects
SET claimed_by = :process_id, claimed_at_us = :now_us, claimed_under = :lease, claim_token = :token
WHERE intent_id IN (
    SELECT p.intent_id FROM pending_objects AS p
    LEFT JOIN instances AS i ON i.instance_id = p.instance_id
    LEFT JOIN worker_leases AS l ON l.worker = p.claimed_under AND l.token = p.claim_token
        AND l.holder IS NOT NULL AND l.expires_at_us > :now_us
    WHERE (p.claimed_by IS NULL OR (p.claimed_under IS NOT NULL AND l.worker IS NULL)
            OR (p.claimed_under IS NULL AND p.claimed_at_us < :stale_us))
        AND (p.renewed_at_us < :expired_us OR i.heartbeat_at_us IS NULL OR i.heartbeat_at_us < :dead_us
            OR i.stopped_at_us IS NOT NULL)
    LIMIT :count_max
)
RETURNING intent_id, backend_id, storage_key
