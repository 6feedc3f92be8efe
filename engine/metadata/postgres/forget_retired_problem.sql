-- forget_retired_problem: the reaper may take the row up again. One row changed, or none when it is gone.
UPDATE retired SET problem = NULL WHERE retired_id = :retired_id
