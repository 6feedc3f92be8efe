-- count_stale_uploads: one row: how many open uploads began before a time, and did so in a bucket that is there.
SELECT COUNT(*) FROM multipart_uploads
WHERE bucket_id IS NOT NULL AND state = 'open' AND created_at_us < :before_us
