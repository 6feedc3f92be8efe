-- open_usage: the account of a month that has none yet. At most one row changed.
INSERT INTO backend_usage (backend_id, period, kind, taken) VALUES (:backend_id, :period, :kind, 0)
ON CONFLICT (backend_id, period, kind) DO NOTHING
