-- has_sealed_bucket: one row when a bucket asks for sealing, whatever the deployment's default.
SELECT 1 FROM buckets WHERE seal = 'all' LIMIT 1
