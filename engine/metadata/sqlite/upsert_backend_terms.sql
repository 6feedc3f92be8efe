-- upsert_backend_terms: what a generation says of a backend's weight, costs and size of objects. One row changed.
INSERT INTO backend_terms (backend_id, weight, cost_per_gib, cost_per_million_requests, object_bytes_max)
VALUES (:backend_id, :weight, :cost_per_gib, :cost_per_million_requests, :object_bytes_max)
ON CONFLICT (backend_id) DO UPDATE SET weight = :weight, cost_per_gib = :cost_per_gib,
    cost_per_million_requests = :cost_per_million_requests, object_bytes_max = :object_bytes_max
