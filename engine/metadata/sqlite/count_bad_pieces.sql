-- count_bad_pieces: how many pieces of a backend reads do not trust, by state; one row each.
SELECT state, COUNT(*) FROM object_locations WHERE state <> 'live' AND backend_id = :backend_id GROUP BY state
