-- restore_key: a ring key as an image tells it. One row changed.
INSERT INTO keys (key_id, key_name, provider, wrapped_material, state, check_value, created_at_us)
VALUES (:key_id, :key_name, :provider, :wrapped_material, :state, :check_value, :created_at_us)
ON CONFLICT (key_id) DO UPDATE
SET key_name = excluded.key_name, provider = excluded.provider, wrapped_material = excluded.wrapped_material,
    state = excluded.state, check_value = excluded.check_value
