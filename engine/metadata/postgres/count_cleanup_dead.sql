-- count_cleanup_dead: one row.
SELECT COUNT(*) FROM cleanup_dlq
