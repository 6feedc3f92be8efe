-- lock_key_if_free: as lock_key, but when somebody has it, nobody is waited for. One row out: whether it is locked now.
SELECT pg_try_advisory_xact_lock(hashtextextended(:bucket || '/' || encode(:object_key, 'hex'), 0))
