-- note_admin_token_uses: admin tokens by their names, a JSON array, were used now; those that others noted since :since_us are left.
-- So are rows that somebody else holds: it notes the same, or the next time does. Repeating it is harmless.
-- Told by no image of the journal.
UPDATE admin_tokens SET last_used_us = :now_us
WHERE name IN (
    SELECT name FROM admin_tokens
    WHERE name IN (SELECT value FROM json_array_elements_text(:names::json)) AND COALESCE(last_used_us, 0) < :since_us
    FOR NO KEY UPDATE SKIP LOCKED
)
