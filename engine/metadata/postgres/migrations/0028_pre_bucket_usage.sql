-- What clients asked of buckets: requests by kind and bytes, by the hour and by the day.

CREATE TABLE bucket_usage (
    bucket_name TEXT COLLATE "C" NOT NULL, -- its name; a name may have belonged to several buckets, one after the other
    bucket_id BIGINT NOT NULL, -- which bucket, without reference: the row stays when the bucket is gone
    step TEXT COLLATE "C" NOT NULL CHECK (step IN ('hour', 'day')), -- how long it is
    starts_us BIGINT NOT NULL, -- when the hour or day began, by UTC
    write_request_count BIGINT NOT NULL, -- requests that wrote or listed
    read_request_count BIGINT NOT NULL, -- requests that read
    delete_request_count BIGINT NOT NULL, -- requests that deleted
    content_request_count BIGINT NOT NULL, -- of those that wrote: stored the content of an object or a part
    egress_bytes BIGINT NOT NULL, -- bodies of answers as sent
    ingress_bytes BIGINT NOT NULL, -- bodies of requests as read
    stored_bytes BIGINT NOT NULL, -- logical bytes that lay there when it was last told of requests in it
    PRIMARY KEY (bucket_name, bucket_id, step, starts_us)
);

CREATE INDEX bucket_usage_by_age ON bucket_usage (step, starts_us);

COMMENT ON COLUMN bucket_usage.bucket_name IS 'its name; a name may have belonged to several buckets, one after the other';
COMMENT ON COLUMN bucket_usage.bucket_id IS 'which bucket, without reference: the row stays when the bucket is gone';
COMMENT ON COLUMN bucket_usage.step IS 'how long it is';
COMMENT ON COLUMN bucket_usage.starts_us IS 'when the hour or day began, by UTC';
COMMENT ON COLUMN bucket_usage.write_request_count IS 'requests that wrote or listed';
COMMENT ON COLUMN bucket_usage.read_request_count IS 'requests that read';
COMMENT ON COLUMN bucket_usage.delete_request_count IS 'requests that deleted';
COMMENT ON COLUMN bucket_usage.content_request_count IS 'of those that wrote: stored the content of an object or a part';
COMMENT ON COLUMN bucket_usage.egress_bytes IS 'bodies of answers as sent';
COMMENT ON COLUMN bucket_usage.ingress_bytes IS 'bodies of requests as read';
COMMENT ON COLUMN bucket_usage.stored_bytes IS 'logical bytes that lay there when it was last told of requests in it';
