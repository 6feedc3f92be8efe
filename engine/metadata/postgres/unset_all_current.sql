-- unset_all_current: no version of the key is current, until the next statement says which one is. At most one row changed.
UPDATE object_versions SET is_current = FALSE
WHERE bucket_id = :bucket_id AND object_key = :object_key AND is_current
