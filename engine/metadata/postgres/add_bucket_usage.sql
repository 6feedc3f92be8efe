-- add_bucket_usage: what clients asked of a bucket, on top of what is told of that hour or day. One row changed.
INSERT INTO bucket_usage (
    bucket_name, bucket_id, step, starts_us, write_request_count, read_request_count, delete_request_count,
    content_request_count, egress_bytes, ingress_bytes, stored_bytes
)
VALUES (
    :bucket_name, :bucket_id, :step, :starts_us, :write_request_count, :read_request_count, :delete_request_count,
    :content_request_count, :egress_bytes, :ingress_bytes, :stored_bytes
)
ON CONFLICT (bucket_name, bucket_id, step, starts_us)
DO UPDATE SET
    write_request_count = bucket_usage.write_request_count + excluded.write_request_count,
    read_request_count = bucket_usage.read_request_count + excluded.read_request_count,
    delete_request_count = bucket_usage.delete_request_count + excluded.delete_request_count,
    content_request_count = bucket_usage.content_request_count + excluded.content_request_count,
    egress_bytes = bucket_usage.egress_bytes + excluded.egress_bytes,
    ingress_bytes = bucket_usage.ingress_bytes + excluded.ingress_bytes,
    stored_bytes = excluded.stored_bytes
