-- list_audit_chain: at most :count_max events of one instance after one, in the order they were written.
SELECT event_seq, instance_id, actor, action, resource, outcome, request_id, peer, detail, created_at_us, previous_hash,
       hash
FROM audit_events
WHERE instance_id = :instance_id AND event_seq > :after
ORDER BY event_seq
LIMIT :count_max
