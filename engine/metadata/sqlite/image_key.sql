-- image_key: a ring key as its journal image tells it. One row.
SELECT key_id, key_name, provider, wrapped_material, state, check_value, created_at_us FROM keys WHERE key_id = :key_id
