-- list_quota_stripes: the stripes of a subject in order.
SELECT stripe, share_bytes, used_bytes, orphan_bytes, reserved_bytes, object_count
FROM backend_quotas
WHERE subject = :subject
ORDER BY stripe
