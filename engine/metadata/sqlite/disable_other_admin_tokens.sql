-- disable_other_admin_tokens: tokens of the configuration that it names no more. :names is a JSON array.
UPDATE admin_tokens SET is_disabled = 1
WHERE origin = 'config' AND is_disabled = 0 AND name NOT IN (SELECT value FROM json_each(:names))
RETURNING name
