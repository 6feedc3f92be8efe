-- The reaper asks at the begin of each run for what it stopped at, however much else is retired.

CREATE INDEX retired_stopped ON retired (retired_id) WHERE problem IS NOT NULL;
