-- drop_bucket_usage: forget hours or days before a time, at most :count_max rows.
DELETE FROM bucket_usage WHERE (bucket_name, bucket_id, step, starts_us) IN (
    SELECT bucket_name, bucket_id, step, starts_us FROM bucket_usage
    WHERE step = :step AND starts_us < :before_us
    ORDER BY starts_us LIMIT :count_max
)
