-- list_old_audit_events: at most :count_max events at the begin of an instance's chain, in their order, that were all
-- written before :before_us. The last one of a chain is never among them.
SELECT event_seq FROM audit_events
WHERE instance_id = :instance_id AND event_seq < COALESCE(
    (SELECT MIN(event_seq) FROM audit_events WHERE instance_id = :instance_id AND created_at_us >= :before_us),
    (SELECT MAX(event_seq) FROM audit_events WHERE instance_id = :instance_id)
)
ORDER BY event_seq
LIMIT :count_max
