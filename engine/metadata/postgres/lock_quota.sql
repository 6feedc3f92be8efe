-- lock_quota: all stripes of an account, in order. As many rows out as it has stripes.
SELECT stripe FROM backend_quotas WHERE subject = :subject ORDER BY stripe FOR UPDATE
