-- find_bucket_ids: buckets by their names, a JSON array: a row for each that is there, at most as many as names.
SELECT name, account_id, bucket_id FROM buckets
WHERE name IN (SELECT value FROM json_array_elements_text(:names::json))
