-- restore_generation: a generation as an image tells it. One row changed, or none when it is there: none ever changes.
INSERT INTO config_generations (generation, document, file_digest, origin, author, created_at_us, comment)
VALUES (:generation, :document, :file_digest, :origin, :author, :created_at_us, :comment)
ON CONFLICT (generation) DO NOTHING
