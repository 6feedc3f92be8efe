-- add_usage_lease: a process may use more. One row changed.
INSERT INTO usage_leases (process_id, backend_id, period, kind, amount)
VALUES (:process_id, :backend_id, :period, :kind, :amount)
ON CONFLICT (process_id, backend_id, period, kind) DO UPDATE SET amount = usage_leases.amount + :amount
