-- delete_unfollowed_audit_anchors: anchors whose event no event follows any more.
DELETE FROM audit_anchors
WHERE NOT EXISTS (SELECT 1 FROM audit_events AS next WHERE next.previous_hash = audit_anchors.hash)
