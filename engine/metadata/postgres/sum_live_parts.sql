-- sum_live_parts: one row: how many parts stand and what they hold.
SELECT COUNT(*), COALESCE(SUM(size_bytes), 0)::bigint FROM multipart_parts WHERE upload_id = :upload_id AND state = 'live'
