-- find_newest_audit_event: at most one row, the event written last by whomever.
SELECT hash, event_seq FROM audit_events ORDER BY event_seq DESC LIMIT 1
