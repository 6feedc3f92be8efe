-- find_newest_generation_number: one row, null before the first start.
SELECT MAX(generation) FROM config_generations
