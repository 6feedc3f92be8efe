-- disable_other_identities: identities of the configuration that it names no more. :names is a JSON array.
UPDATE identities SET is_disabled = 1
WHERE origin = 'config' AND name NOT IN (SELECT value FROM json_each(:names))
