-- return_stale_cleanup: claims are open again whose lease has ended, and those without one that are older than :before_us.
-- Those under the lease :lease are open as well, whose holder begins anew. As many rows changed as there were.
UPDATE cleanup_queue SET claimed_by = NULL, claimed_at_us = NULL, claimed_under = NULL, claim_token = NULL
WHERE claimed_by IS NOT NULL AND (
    (claimed_under IS NULL AND claimed_at_us < :before_us)
    OR (claimed_under IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM worker_leases AS l
        WHERE l.worker = cleanup_queue.claimed_under AND l.token = cleanup_queue.claim_token
            AND l.holder IS NOT NULL AND l.expires_at_us > :now_us AND l.worker <> :lease
    ))
)
