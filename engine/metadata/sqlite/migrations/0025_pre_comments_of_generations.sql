-- Whoever sends a configuration may say why.

ALTER TABLE config_generations ADD COLUMN comment TEXT; -- why it was made, by who made it; null: nothing was said
