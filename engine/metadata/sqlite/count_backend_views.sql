-- count_backend_views: of each backend, how many instances have looked since a time, and how many of these hold it for failed.
SELECT backend_id, COUNT(*), COUNT(failed_since_us) FROM backend_views
WHERE seen_at_us >= :since_us
GROUP BY backend_id
