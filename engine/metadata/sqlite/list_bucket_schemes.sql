-- list_bucket_schemes: the schemes that buckets have instead of the deployment's, each once.
SELECT DISTINCT scheme FROM buckets WHERE scheme IS NOT NULL
