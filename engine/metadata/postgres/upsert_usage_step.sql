-- upsert_usage_step: an hour or a day of a subject as it is known now. One row changed.
INSERT INTO usage_history (subject, step, starts_us, used, used_of_month, stored_bytes)
VALUES (:subject, :step, :starts_us, :used, :used_of_month, :stored_bytes)
ON CONFLICT (subject, step, starts_us)
DO UPDATE SET used = :used, used_of_month = :used_of_month, stored_bytes = :stored_bytes
