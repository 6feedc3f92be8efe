-- disable_other_identities: identities of the configuration that it names no more. :names is a JSON array.
-- One row out for each that was enabled.
UPDATE identities SET is_disabled = TRUE
WHERE origin = 'config' AND is_disabled = FALSE AND name NOT IN (SELECT value FROM json_array_elements_text(:names::json))
RETURNING name
