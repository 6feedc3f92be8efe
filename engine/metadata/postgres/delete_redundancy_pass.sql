-- delete_redundancy_pass: nothing is left to be done about its backend. One row changed, or none.
DELETE FROM redundancy_passes WHERE subject = :subject
