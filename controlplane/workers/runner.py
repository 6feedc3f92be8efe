"""Runs one worker: when it is due, under its lease, a bounded unit at a time, until there is no more to do."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from controlplane.operations.courtesy import Courtesy
from controlplane.operations.pace import Budget, SharedPace, give_way
from engine.errors import DatabaseUnavailable, EngineError, LeaseLost
from engine.metadata.workers import WorkerStanding
from engine.records import Lease, Progress
from engine.upkeep.long_work import Pace

POLL_S = 0.5
"""How often a runner asks whether its worker is due; a trigger is noticed within this."""

DATABASE_DOWN_POLL_S = 5.0
"""How often it asks a database that is down, which takes no trigger either, so that the log does not fill."""

LEASE_TTL_S = 30.0
RENEW_EVERY_S = 10.0
UNIT_COUNT_MAX = 10_000
"""Units of one run; what is left waits for the next run, so that a run always ends."""

_log = logging.getLogger("penstock.workers")


class Unit(Protocol):
    """A worker under a lease: does one bounded unit and says what it did. It may be interrupted and repeated."""

    def work(self) -> Progress: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One entry of the roster. `build` makes the unit for a lease: all of its writes check the lease's token.

    A worker that moves bytes asks its pace before it does.
    """

    name: str
    description: str
    interval_s: float
    build: Callable[[Lease, Pace], Unit]
    moves_bytes: bool = False


class Ledger(Protocol):
    """What the runner keeps in the database."""

    def is_due(self, worker: str) -> bool:
        """Whether it is enabled, and triggered or past its interval since the last run began."""

    def standing(self, worker: str) -> WorkerStanding | None:
        """What holds for it now; null when it is not known."""

    def acquire(self, worker: str, ttl_s: float) -> Lease | None: ...

    def renew(self, lease: Lease, ttl_s: float) -> Lease:
        """Raises LeaseLost."""

    def release(self, lease: Lease) -> None: ...

    def begin(self, lease: Lease) -> int:
        """A run begins; its id. What was triggered before is this run."""

    def is_cancelled(self, run_id: int) -> bool:
        """Whether somebody who asked for the run wants it no more; asked between two units."""

    def end(self, lease: Lease, run_id: int, progress: Progress, error: str | None) -> None: ...


class Runner(threading.Thread):
    """The thread of one worker. `stop` ends it after the unit at hand."""

    def __init__(
        self,
        job: Job,
        ledger: Ledger,
        budget: Budget | None = None,
        *,
        courtesy: Courtesy | None = None,
        renew_every_s: float = RENEW_EVERY_S,
    ) -> None:
        """`budget` is what the worker may move a second; others of this process may share it, as all do `courtesy`."""
        super().__init__(name=f"worker-{job.name}", daemon=True)
        self._job = job
        self._ledger = ledger
        self._budget = budget or Budget()
        self._courtesy = courtesy or Courtesy()
        self._renew_every_s = renew_every_s
        self._stopping = threading.Event()
        # Set as well when the run at hand is called off: what waits for its pace need not.
        self._interrupted = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        self._interrupted.set()

    def run(self) -> None:
        give_way()
        pause_s = POLL_S
        while not self._stopping.wait(pause_s):
            pause_s = POLL_S
            try:
                self.run_if_due()
            except LeaseLost:
                _log.warning("worker.lease_lost", extra={"worker": self._job.name})
            except DatabaseUnavailable as error:
                pause_s = DATABASE_DOWN_POLL_S
                _log.warning("worker.postponed", extra={"worker": self._job.name, "error": str(error)})
            except EngineError as error:
                _log.warning("worker.postponed", extra={"worker": self._job.name, "error": str(error)})
            except Exception:  # the runner outlives whatever a worker does
                _log.exception("worker.failed", extra={"worker": self._job.name})

    def run_if_due(self) -> Progress | None:
        """One run if the worker is due and nobody else leads it; null otherwise."""
        if self._job.moves_bytes:
            # Operations share the budget while the worker itself rests.
            _heed_rate(self._ledger.standing(self._job.name), self._budget)
        if not self._ledger.is_due(self._job.name):
            return None
        lease = self._ledger.acquire(self._job.name, LEASE_TTL_S)
        if lease is None:
            return None
        if not self._stopping.is_set():
            self._interrupted.clear()
        run = _Run(
            self._job,
            self._ledger,
            lease,
            self._budget,
            self._interrupted,
            courtesy=self._courtesy,
            renew_every_s=self._renew_every_s,
        )
        try:
            return run.carry_out()
        finally:
            self._ledger.release(lease)


class _Run:
    """One run under its lease, until there is no more to do or it is interrupted."""

    def __init__(
        self,
        job: Job,
        ledger: Ledger,
        lease: Lease,
        budget: Budget,
        interrupted: threading.Event,
        *,
        courtesy: Courtesy,
        renew_every_s: float,
    ) -> None:
        self._job = job
        self._ledger = ledger
        self._lease = lease
        self._budget = budget
        self._interrupted = interrupted
        self._courtesy = courtesy
        self._renew_every_s = renew_every_s
        self._run_id = 0
        self._renewed_s = time.monotonic()

    def carry_out(self) -> Progress:
        self._run_id = self._ledger.begin(self._lease)
        total = Progress()
        error: str | None = None
        try:
            pace = SharedPace(
                [self._budget],
                interrupted=self._interrupted,
                while_waiting=self._while_waiting,
                courtesy=self._courtesy,
            )
            self._heed()
            unit = self._job.build(self._lease, pace)
            for _ in range(UNIT_COUNT_MAX):
                step = unit.work()
                total = Progress(
                    done_count=total.done_count + step.done_count,
                    deferred_count=total.deferred_count + step.deferred_count,
                    has_more=step.has_more,
                )
                if not step.has_more:
                    break
                self._heed()
                if self._interrupted.is_set():
                    break
                self._renew()
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            self._ledger.end(self._lease, self._run_id, total, error)
        return total

    def _while_waiting(self) -> None:
        """A wait may be long: the lease must not run out in it, and it ends when it is pointless."""
        self._heed()
        if time.monotonic() - self._renewed_s >= self._renew_every_s:
            self._renew()

    def _heed(self) -> None:
        """What operators say meanwhile: another rate, a pause, a run that nobody wants any more."""
        standing = self._ledger.standing(self._job.name)
        _heed_rate(standing, self._budget)
        is_called_off = standing is None or not standing.may_run or self._ledger.is_cancelled(self._run_id)
        if is_called_off:
            self._interrupted.set()

    def _renew(self) -> None:
        self._lease = self._ledger.renew(self._lease, LEASE_TTL_S)
        self._renewed_s = time.monotonic()


def _heed_rate(standing: WorkerStanding | None, budget: Budget) -> None:
    """What a worker may move a second is what its standing says; of one that is not known nothing changes."""
    if standing is not None:
        budget.limit(standing.rate_bytes)
