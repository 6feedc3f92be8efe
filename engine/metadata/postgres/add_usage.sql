-- add_usage: this much was used past all limits, or, when negative, given back. One row changed.
UPDATE backend_usage SET taken = taken + :amount
WHERE backend_id = :backend_id AND period = :period AND kind = :kind
