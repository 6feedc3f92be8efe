-- forget_discrepancies: a comparison of a backend has come to its end: what it did not see again is no more.
DELETE FROM discrepancies WHERE backend_id = :backend_id AND direction = :direction AND run_id <> :run_id
