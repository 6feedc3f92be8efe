-- insert_generation: a validated state of the configuration. One row changed; two who number alike collide here.
INSERT INTO config_generations (generation, document, file_digest, origin, author, created_at_us, comment)
VALUES (:generation, :document, :file_digest, :origin, :author, :now_us, :comment)
