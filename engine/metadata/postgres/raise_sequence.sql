-- raise_sequence: numbers of a table up to :last were used, whether or not a row has them still. One row out.
SELECT setval(
    pg_get_serial_sequence(:table, c.column_name),
    GREATEST(:last::bigint, COALESCE(pg_sequence_last_value(pg_get_serial_sequence(:table, c.column_name)::regclass), 1))
)
FROM information_schema.columns AS c
WHERE c.table_schema = current_schema() AND c.table_name = :table AND c.is_identity = 'YES'
