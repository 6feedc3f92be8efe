-- upsert_instance_stats: what an instance counts now, in the place of what it said before. One row changed.
INSERT INTO instance_stats (instance_id, sampled_at_us, document)
VALUES (:instance_id, :now_us, :document)
ON CONFLICT (instance_id) DO UPDATE SET sampled_at_us = :now_us, document = :document
