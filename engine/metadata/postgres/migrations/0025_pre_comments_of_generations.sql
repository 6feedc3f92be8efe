-- Whoever sends a configuration may say why.

ALTER TABLE config_generations ADD COLUMN comment TEXT COLLATE "C"; -- why it was made, by who made it; null: nothing was said

COMMENT ON COLUMN config_generations.comment IS 'why it was made, by who made it; null: nothing was said';
