-- forget_usage_leases: those of other months, and of processes that are known no more: what they had counts as used.
DELETE FROM usage_leases
WHERE period <> :period OR process_id NOT IN (SELECT process_id FROM processes)
