-- insert_account: an account exists. One row out; the unique name decides between two who make it.
INSERT INTO accounts (name, origin, created_at_us)
VALUES (:name, :origin, :now_us)
RETURNING account_id
