-- find_ordinal_at: at most one row: the slice of a version that holds an offset. The primary key is walked from the
-- last slice back; objects have at most some ten thousand of them.
SELECT MAX(ordinal) FROM object_segments WHERE version_seq = :version_seq AND start_offset <= :offset
