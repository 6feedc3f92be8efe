-- disable_other_identities: identities of the configuration that it names no more. :names is a JSON array.
-- One row out for each that was enabled.
UPDATE identities SET is_disabled = 1
WHERE origin = 'config' AND is_disabled = 0 AND name NOT IN (SELECT value FROM json_each(:names))
RETURNING name
