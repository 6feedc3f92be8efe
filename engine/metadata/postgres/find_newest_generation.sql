-- find_newest_generation: at most one row.
SELECT generation, document, file_digest, origin, author, created_at_us, comment FROM config_generations
ORDER BY generation DESC
LIMIT 1
