-- note_admin_token_uses: admin tokens by their names, a JSON array, were used now; those that others noted since :since_us are left.
-- Repeating it is harmless. Told by no image of the journal.
UPDATE admin_tokens SET last_used_us = :now_us
WHERE name IN (SELECT value FROM json_each(:names)) AND COALESCE(last_used_us, 0) < :since_us
