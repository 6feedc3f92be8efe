-- list_keys: the whole ring, the oldest key first.
SELECT key_id, key_name, provider, wrapped_material, state, check_value, created_at_us FROM keys ORDER BY created_at_us
