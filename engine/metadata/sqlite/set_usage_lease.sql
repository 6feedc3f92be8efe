-- set_usage_lease: what a process still has. At most one row changed.
UPDATE usage_leases SET amount = :amount
WHERE process_id = :process_id AND backend_id = :backend_id AND period = :period AND kind = :kind
