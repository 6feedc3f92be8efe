-- What clients asked of buckets: requests by kind and bytes, by the hour and by the day.

CREATE TABLE bucket_usage (
    bucket_name TEXT NOT NULL, -- its name; a name may have belonged to several buckets, one after the other
    bucket_id INTEGER NOT NULL, -- which bucket, without reference: the row stays when the bucket is gone
    step TEXT NOT NULL CHECK (step IN ('hour', 'day')), -- how long it is
    starts_us INTEGER NOT NULL, -- when the hour or day began, by UTC
    write_request_count INTEGER NOT NULL, -- requests that wrote or listed
    read_request_count INTEGER NOT NULL, -- requests that read
    delete_request_count INTEGER NOT NULL, -- requests that deleted
    content_request_count INTEGER NOT NULL, -- of those that wrote: stored the content of an object or a part
    egress_bytes INTEGER NOT NULL, -- bodies of answers as sent
    ingress_bytes INTEGER NOT NULL, -- bodies of requests as read
    stored_bytes INTEGER NOT NULL, -- logical bytes that lay there when it was last told of requests in it
    PRIMARY KEY (bucket_name, bucket_id, step, starts_us)
) STRICT, WITHOUT ROWID;

CREATE INDEX bucket_usage_by_age ON bucket_usage (step, starts_us);
