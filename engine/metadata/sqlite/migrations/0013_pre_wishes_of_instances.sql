-- Instances are asked for things through their rows: any of them may be asked through any other.

ALTER TABLE instances ADD COLUMN draining_since_us INTEGER; -- when it was asked to take no new clients; null: it was not
ALTER TABLE instances ADD COLUMN look_asked_at_us INTEGER; -- when it was last asked to look at the configuration again; null: never
ALTER TABLE instances ADD COLUMN restart_asked_at_us INTEGER; -- when its data-plane processes were last asked to make room for new ones; null: never
ALTER TABLE instances ADD COLUMN stop_by_us INTEGER; -- when it stops at the latest, which it was asked to; null: it was not
ALTER TABLE instances ADD COLUMN stop_taken_by BLOB; -- process that carries the stop out; null: none yet
ALTER TABLE processes ADD COLUMN in_flight_count INTEGER; -- requests in flight at the last sign of life; null: it serves none
ALTER TABLE processes ADD COLUMN drained_at_us INTEGER; -- when it first had nothing in flight after it was asked to drain; null: it has not yet
