-- find_admin_token_of_hash: at most one row: whose hash that is, usable or not.
SELECT name, origin FROM admin_tokens WHERE sha256 = :sha256
