-- list_audit_events: at most :count_max events before one, the newest first; a filter that is null takes all.
SELECT event_seq, instance_id, actor, action, resource, outcome, request_id, peer, detail, created_at_us, previous_hash,
       hash
FROM audit_events
WHERE event_seq < :before AND created_at_us >= :since_us AND created_at_us < :until_us
  AND (:actor::text IS NULL OR actor = :actor) AND (:action::text IS NULL OR action = :action)
  AND (:resource::text IS NULL OR resource = :resource) AND (:outcome::text IS NULL OR outcome = :outcome)
  AND (:request_id::text IS NULL OR request_id = :request_id)
ORDER BY event_seq DESC
LIMIT :count_max
