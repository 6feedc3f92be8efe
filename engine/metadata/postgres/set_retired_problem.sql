-- set_retired_problem: the reaper stops at this row and says why. One row changed.
UPDATE retired SET problem = :problem WHERE retired_id = :retired_id
