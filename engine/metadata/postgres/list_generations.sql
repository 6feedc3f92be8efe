-- list_generations: at most :count_max generations before one, the newest first.
SELECT generation, document, file_digest, origin, author, created_at_us, comment FROM config_generations
WHERE generation < :before
ORDER BY generation DESC
LIMIT :count_max
