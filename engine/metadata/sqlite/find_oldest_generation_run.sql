-- find_oldest_generation_run: one row: the oldest generation that a data-plane process runs which gave a sign of life
-- since :alive_us; null when none does.
SELECT MIN(generation) FROM processes
WHERE plane = 'dataplane' AND stopped_at_us IS NULL AND heartbeat_at_us >= :alive_us
