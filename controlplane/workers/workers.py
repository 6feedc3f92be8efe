"""All workers of one process: their threads started, their settings applied, and stopped together."""

import logging
import time
from collections.abc import Callable, Sequence

from controlplane.operations.pace import Budgets
from controlplane.workers.ledger import StoredLedger
from controlplane.workers.roster import WorkerParts, live_roster
from controlplane.workers.runner import Job, Runner
from engine.metadata.store import Tx
from engine.metadata.workers import apply_worker
from engine.settings.running import WorkersSettings, rate_of

_log = logging.getLogger("penstock.workers")


class Workers:
    """A thread for each worker, from `start` to `stop`. Made after the fork."""

    def __init__(self, parts: Callable[[], WorkerParts], settings: WorkersSettings, budgets: Budgets) -> None:
        """`parts` are asked for whenever a run begins: another generation may have others."""
        first = parts()
        self._store = first.store
        self._settings = settings
        self._jobs = live_roster(parts)
        ledger = StoredLedger(first.store, holder=first.process_id)
        self._runners = [
            Runner(job, ledger, budgets.of(job.name), courtesy=budgets.courtesy) for job in self._jobs
        ]

    @property
    def jobs(self) -> Sequence[Job]:
        """Name, description and own interval of every worker."""
        return self._jobs

    def start(self) -> None:
        """Apply the settings and start every thread. Raises what a write raises; nothing has started then."""
        self.apply(self._settings)
        for runner in self._runners:
            runner.start()

    def apply(self, settings: WorkersSettings) -> None:
        """Take a generation's settings, running or not; every instance sees them. Raises what a write raises."""

        def unit(tx: Tx) -> None:
            for job in self._jobs:
                wanted = settings.of(job.name)
                interval_s = job.interval_s if wanted.interval_s is None else wanted.interval_s
                apply_worker(
                    tx,
                    job.name,
                    is_enabled=wanted.enabled,
                    interval_s=interval_s,
                    rate_bytes=rate_of(wanted),
                )

        self._store.write(unit)
        self._settings = settings

    def stop(self, timeout_s: float) -> bool:
        """End every worker after the unit at hand and wait; false when one is still at it.

        Such a one is abandoned with the process: its lease runs out and its work is repeated elsewhere.
        """
        deadline_s = time.monotonic() + timeout_s
        for runner in self._runners:
            runner.stop()
        for runner in self._runners:
            if runner.ident is not None:
                runner.join(max(0.0, deadline_s - time.monotonic()))
        late = [runner.name for runner in self._runners if runner.is_alive()]
        if late:
            _log.error("workers.stop_timed_out", extra={"workers": ",".join(late)})
        return not late
