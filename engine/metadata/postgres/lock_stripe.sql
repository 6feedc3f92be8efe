-- lock_stripe: the next statement is to see what those did who had this stripe before. At most one row out.
SELECT 1 FROM backend_quotas WHERE subject = :subject AND stripe = :stripe FOR UPDATE
