-- image_generation: a generation as its journal image tells it. One row.
SELECT generation, document, file_digest, origin, author, created_at_us, comment FROM config_generations
WHERE generation = :generation
