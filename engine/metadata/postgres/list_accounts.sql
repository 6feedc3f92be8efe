-- list_accounts: at most :count_max accounts behind a name, in the order of names.
SELECT account_id, name, origin, created_at_us FROM accounts WHERE name > :after ORDER BY name LIMIT :count_max
