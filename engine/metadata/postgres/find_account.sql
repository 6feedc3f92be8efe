-- find_account: at most one row, by name.
SELECT account_id FROM accounts WHERE name = :name
