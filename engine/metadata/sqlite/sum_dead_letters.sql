-- sum_dead_letters: one row: how many dead letters list_dead_letters would give, and their bytes.
SELECT COUNT(*), COALESCE(SUM(size_bytes), 0)
FROM cleanup_dlq
WHERE (:backend_id IS NULL OR backend_id = :backend_id) AND (:reason IS NULL OR reason = :reason)
    AND (:died_before_us IS NULL OR died_at_us < :died_before_us)
