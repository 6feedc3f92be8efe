-- list_audit_events: at most :count_max events before one, the newest first; a filter that is null takes all.
SELECT event_seq, instance_id, actor, action, resource, outcome, request_id, peer, detail, created_at_us, previous_hash,
       hash
FROM audit_events
WHERE event_seq < :before AND created_at_us >= :since_us AND created_at_us < :until_us
  AND (:actor IS NULL OR actor = :actor) AND (:action IS NULL OR action = :action)
  AND (:resource IS NULL OR resource = :resource) AND (:outcome IS NULL OR outcome = :outcome)
  AND (:request_id IS NULL OR request_id = :request_id)
ORDER BY event_seq DESC
LIMIT :count_max
