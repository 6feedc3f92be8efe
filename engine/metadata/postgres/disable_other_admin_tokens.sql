-- disable_other_admin_tokens: tokens of the configuration that it names no more. :names is a JSON array.
UPDATE admin_tokens SET is_disabled = TRUE
WHERE origin = 'config' AND is_disabled = FALSE AND name NOT IN (SELECT value FROM json_array_elements_text(:names::json))
RETURNING name
