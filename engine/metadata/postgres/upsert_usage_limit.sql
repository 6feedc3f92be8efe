-- upsert_usage_limit: what a generation says may be used of a backend in a month. One row changed.
INSERT INTO usage_limits (backend_id, kind, amount) VALUES (:backend_id, :kind, :amount)
ON CONFLICT (backend_id, kind) DO UPDATE SET amount = :amount
