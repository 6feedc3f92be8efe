-- find_generation: at most one row.
SELECT generation, document, file_digest, origin, author, created_at_us, comment FROM config_generations
WHERE generation = :generation
