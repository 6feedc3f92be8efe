-- What the columns of switches and of what instances serve mean, where the database itself can be asked.

COMMENT ON COLUMN switches.name IS 'which';
COMMENT ON COLUMN switches.is_on IS 'whether it is on';
COMMENT ON COLUMN switches.reason IS 'why it was turned, for people';
COMMENT ON COLUMN switches.changed_by IS 'who turned it last';
COMMENT ON COLUMN switches.changed_at_us IS 'when';
COMMENT ON COLUMN instance_stats.instance_id IS 'whose';
COMMENT ON COLUMN instance_stats.sampled_at_us IS 'when';
COMMENT ON COLUMN instance_stats.document IS 'counts and rates, as the control plane writes and reads them';
