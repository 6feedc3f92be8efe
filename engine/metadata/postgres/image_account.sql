-- image_account: an account as its journal image tells it. One row.
SELECT account_id, name, origin, created_at_us FROM accounts WHERE account_id = :account_id
