-- lock_key: wait for other writers of a key, until the commit. A courtesy that spares retries; the unique index decides. One row out.
SELECT pg_advisory_xact_lock(hashtextextended(:bucket || '/' || encode(:object_key, 'hex'), 0)) IS NULL
