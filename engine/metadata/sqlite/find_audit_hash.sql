-- find_audit_hash: one row if an event bears the hash.
SELECT 1 FROM audit_events WHERE hash = :hash
