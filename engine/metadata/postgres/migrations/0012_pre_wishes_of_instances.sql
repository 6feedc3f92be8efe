-- Instances are asked for things through their rows: any of them may be asked through any other.

ALTER TABLE instances ADD COLUMN draining_since_us BIGINT; -- when it was asked to take no new clients; null: it was not
ALTER TABLE instances ADD COLUMN look_asked_at_us BIGINT; -- when it was last asked to look at the configuration again; null: never
ALTER TABLE instances ADD COLUMN restart_asked_at_us BIGINT; -- when its data-plane processes were last asked to make room for new ones; null: never
ALTER TABLE instances ADD COLUMN stop_by_us BIGINT; -- when it stops at the latest, which it was asked to; null: it was not
ALTER TABLE instances ADD COLUMN stop_taken_by BYTEA; -- process that carries the stop out; null: none yet
ALTER TABLE processes ADD COLUMN in_flight_count BIGINT; -- requests in flight at the last sign of life; null: it serves none
ALTER TABLE processes ADD COLUMN drained_at_us BIGINT; -- when it first had nothing in flight after it was asked to drain; null: it has not yet

COMMENT ON COLUMN instances.draining_since_us IS 'when it was asked to take no new clients; null: it was not';
COMMENT ON COLUMN instances.look_asked_at_us IS 'when it was last asked to look at the configuration again; null: never';
COMMENT ON COLUMN instances.restart_asked_at_us IS 'when its data-plane processes were last asked to make room for new ones; null: never';
COMMENT ON COLUMN instances.stop_by_us IS 'when it stops at the latest, which it was asked to; null: it was not';
COMMENT ON COLUMN instances.stop_taken_by IS 'process that carries the stop out; null: none yet';
COMMENT ON COLUMN processes.in_flight_count IS 'requests in flight at the last sign of life; null: it serves none';
COMMENT ON COLUMN processes.drained_at_us IS 'when it first had nothing in flight after it was asked to drain; null: it has not yet';
