-- Tags stand in the row of their version.

DROP TABLE object_tags;
