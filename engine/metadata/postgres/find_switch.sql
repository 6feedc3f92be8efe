-- find_switch: how a switch was turned last. At most one row: none while nobody ever has.
SELECT is_on, reason, changed_by, changed_at_us FROM switches WHERE name = :name
