-- raise_sequence: numbers of a table up to :last were used, whether or not a row has them still. One row changed.
INSERT OR REPLACE INTO sqlite_sequence (rowid, name, seq)
SELECT (SELECT rowid FROM sqlite_sequence WHERE name = :table), :table,
    MAX(:last, COALESCE((SELECT seq FROM sqlite_sequence WHERE name = :table), 0))
