-- note_access_key_uses: access keys by their ids, a JSON array, were used now; those that others noted since :since_us are left.
-- Repeating it is harmless. Told by no image of the journal.
UPDATE access_keys SET last_used_us = :now_us
WHERE access_key_id IN (SELECT value FROM json_each(:names)) AND COALESCE(last_used_us, 0) < :since_us
