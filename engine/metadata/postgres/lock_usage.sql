-- lock_usage: the next statement is to see what those took who had this account before. At most one row out.
SELECT 1 FROM backend_usage WHERE backend_id = :backend_id AND period = :period AND kind = :kind FOR UPDATE
