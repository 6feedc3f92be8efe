-- find_newest_generation_of_file: at most one row: what the last file that was taken over said.
SELECT generation, document, file_digest, origin, author, created_at_us, comment
FROM config_generations
WHERE file_digest IS NOT NULL
ORDER BY generation DESC
LIMIT 1
