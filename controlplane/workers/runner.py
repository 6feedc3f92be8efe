"""Runs one worker: when it is due, under its lease, a bounded unit at a time, until there is no more to do."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.errors import DatabaseUnavailable, EngineError, LeaseLost
from engine.records import Lease, Progress

POLL_S = 0.5
"""How often a runner asks whether its worker is due; a trigger is noticed within this."""

DATABASE_DOWN_POLL_S = 5.0
"""How often it asks a database that is down, which takes no trigger either, so that the log does not fill."""

LEASE_TTL_S = 30.0
UNIT_COUNT_MAX = 10_000
"""Units of one run; what is left waits for the next run, so that a run always ends."""

_log = logging.getLogger("penstock.workers")


class Unit(Protocol):
    """A worker under a lease: does one bounded unit and says what it did. It may be interrupted and repeated."""

    def work(self) -> Progress: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One entry of the roster. `build` makes the unit for a lease: all of its writes check the lease's token."""

    name: str
    description: str
    interval_s: float
    build: Callable[[Lease], Unit]


class Ledger(Protocol):
    """What the runner keeps in the database."""

    def is_due(self, worker: str) -> bool:
        """Whether it is enabled, and triggered or past its interval since the last run began."""

    def acquire(self, worker: str, ttl_s: float) -> Lease | None: ...

    def renew(self, lease: Lease, ttl_s: float) -> Lease:
        """Raises LeaseLost."""

    def release(self, lease: Lease) -> None: ...

    def begin(self, lease: Lease) -> int:
        """A run begins; its id. What was triggered before is this run."""

    def end(self, lease: Lease, run_id: int, progress: Progress, error: str | None) -> None: ...


class Runner(threading.Thread):
    """The thread of one worker. `stop` ends it after the unit at hand."""

    def __init__(self, job: Job, ledger: Ledger) -> None:
        super().__init__(name=f"worker-{job.name}", daemon=True)
        self._job = job
        self._ledger = ledger
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
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
        if not self._ledger.is_due(self._job.name):
            return None
        lease = self._ledger.acquire(self._job.name, LEASE_TTL_S)
        if lease is None:
            return None
        try:
            return self._run(lease)
        finally:
            self._ledger.release(lease)

    def _run(self, lease: Lease) -> Progress:
        run_id = self._ledger.begin(lease)
        total = Progress()
        error: str | None = None
        try:
            unit = self._job.build(lease)
            for _ in range(UNIT_COUNT_MAX):
                step = unit.work()
                total = Progress(
                    done_count=total.done_count + step.done_count,
                    deferred_count=total.deferred_count + step.deferred_count,
                    has_more=step.has_more,
                )
                if not step.has_more or self._stopping.is_set():
                    break
                lease = self._ledger.renew(lease, LEASE_TTL_S)
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
            raise
        finally:
            self._ledger.end(lease, run_id, total, error)
        return total
