-- next_retired: at most :count_max rows: the oldest work of the reaper that has no problem.
SELECT retired_id, kind, target_seq, target_id, cursor FROM retired
WHERE problem IS NULL
ORDER BY retired_id
LIMIT :count_max
