-- list_followed_audit_events: of an instance's events up to one, those that an event behind it, or of another chain,
-- follows: one, and the odd one that another chain begins at.
SELECT event_seq, hash FROM audit_events AS dropped
WHERE instance_id = :instance_id AND event_seq <= :last AND EXISTS (
    SELECT 1 FROM audit_events AS next
    WHERE next.previous_hash = dropped.hash AND NOT (next.instance_id = :instance_id AND next.event_seq <= :last)
)
