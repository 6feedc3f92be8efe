-- A process that cannot take a generation goes on with the one it runs, and says here which and why.

ALTER TABLE processes ADD COLUMN refused_generation INTEGER; -- newest generation, when it could not be taken; null: it runs the newest it knows of
ALTER TABLE processes ADD COLUMN refusal TEXT; -- why not, for people
