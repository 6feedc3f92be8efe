-- count_live_processes: one row, processes that gave a sign of life since :alive_us and did not stop.
SELECT COUNT(*) FROM processes WHERE heartbeat_at_us >= :alive_us AND stopped_at_us IS NULL
