-- list_audit_events_after: at most :count_max events after one, in the order they were written.
SELECT event_seq, instance_id, actor, action, resource, outcome, request_id, peer, detail, created_at_us, previous_hash,
       hash
FROM audit_events
WHERE event_seq > :after
ORDER BY event_seq
LIMIT :count_max
