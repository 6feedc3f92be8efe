-- raise_sequence: numbers of a table up to :last were used, whether or not a row has them still. One row out.
SELECT setval(s.name, GREATEST(:last::bigint, COALESCE(pg_sequence_last_value(s.name), 1)))
FROM (
    SELECT pg_get_serial_sequence(:table::text, a.attname::text)::regclass AS name
    FROM pg_attribute AS a
    WHERE a.attrelid = to_regclass(:table::text) AND a.attidentity <> ''
) AS s
