-- insert_key: a ring key. One row changed.
INSERT INTO keys (key_id, key_name, provider, wrapped_material, state, check_value, created_at_us)
VALUES (:key_id, :key_name, :provider, :wrapped_material, :state, :check_value, :now_us)
