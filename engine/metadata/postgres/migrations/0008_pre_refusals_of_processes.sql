-- A process that cannot take a generation goes on with the one it runs, and says here which and why.

ALTER TABLE processes ADD COLUMN refused_generation BIGINT; -- newest generation, when it could not be taken; null: it runs the newest it knows of
ALTER TABLE processes ADD COLUMN refusal TEXT COLLATE "C"; -- why not, for people

COMMENT ON COLUMN processes.refused_generation IS 'newest generation, when it could not be taken; null: it runs the newest it knows of';
COMMENT ON COLUMN processes.refusal IS 'why not, for people';
