-- free_admin_token_hash: another name had this token; it is switched off, under a hash that nobody has a token for.
UPDATE admin_tokens SET is_disabled = 1, sha256 = :unusable
WHERE sha256 = :sha256 AND name <> :name AND origin = 'config'
RETURNING name
