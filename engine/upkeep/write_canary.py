"""Trial writes to remote stores: one that answers reads and refuses writes is found out before a client's write is."""

import logging
from collections.abc import Mapping
from functools import partial

from engine.backends.base import Backend
from engine.clock import Clock
from engine.errors import BackendError, BackendOverLimit
from engine.metadata.backends import list_backends
from engine.metadata.canaries import list_canaries, note_canary
from engine.metadata.store import Store, Tx
from engine.records import BackendRow, BackendState, Progress, UsageKind
from engine.sealing.keyring import KeyRing
from engine.units import DAY_S, KIB, MINUTE_S
from engine.upkeep.long_work import Fence
from engine.upkeep.moved_pieces import Announcer, BackendRegistry
from engine.upkeep.probing import Probe

TRY_EVERY_S = 5.0 * MINUTE_S
"""Pause between two trial writes to a store that took the last one; one that did not is tried in every run."""

COUNTS_PAUSES = 3
"""What was found counts for so many pauses: a worker that is switched off keeps no store from being written to."""

LIMIT_PART = 20
"""One of so many requests of a month's limit may be a trial's."""

TRIAL_BYTES = KIB
TRY_COUNT = 2
"""One refusal may be a store's bad second."""

_REQUESTS_EACH = {UsageKind.WRITE_REQUESTS: 1, UsageKind.READ_REQUESTS: 2}
_MONTH_S = 30.0 * DAY_S

_log = logging.getLogger("penstock.deployment")

Limits = Mapping[int, Mapping[UsageKind, int]]


class WriteCanary:
    """A worker unit (`work`), made for one run: tries one store after the other, each with a piece that nothing names.

    The piece has a key of its own and is announced, as every piece is: what an interruption leaves is deleted by the
    recovery of intents, and repeating a trial is harmless. A store that is out of reach, or past a limit, is not tried:
    that it takes no writes is known otherwise.
    """

    name = "canary"

    def __init__(
        self,
        store: Store,
        backends: BackendRegistry,
        announcer: Announcer,
        *,
        fence: Fence,
        clock: Clock,
        ring: KeyRing,
        limits: Limits,
    ) -> None:
        """`fence` raises LeaseLost in its transaction. `limits` are a month's, by backend."""
        self._store = store
        self._backends = backends
        self._announcer = announcer
        self._fence = fence
        self._clock = clock
        self._ring = ring
        self._limits = limits
        self._tried: set[int] = set()

    def work(self) -> Progress:
        """Try one store whose time has come."""
        due = self._store.read(self._due)
        if not due:
            return Progress(done_count=0)
        row, backend = due[0]
        self._tried.add(row.backend_id)
        # A trial announces a piece: only who leads begins one.
        self._store.write(self._fence)
        is_known, problem = self._try(backend)
        if is_known:
            self._store.write(partial(self._note, row=row, problem=problem))
            self._tell(row, problem)
        return Progress(done_count=int(is_known), deferred_count=int(not is_known), has_more=len(due) > 1)

    def _due(self, tx: Tx) -> list[tuple[BackendRow, Backend]]:
        canaries, now_us = list_canaries(tx), tx.now_us()
        due = []
        for row in list_backends(tx):
            if row.backend_id in self._tried or row.state is not BackendState.ACTIVE or not row.is_registered:
                continue
            try:
                backend = self._backends.get(row.backend_id)
            except BackendError:
                continue
            if not backend.needs_intents:
                # A disk of this machine says at once what is wrong with it.
                continue
            last = canaries.get(row.backend_id)
            if last is None or now_us >= last.checked_at_us + self._pause_us(row, last.problem):
                due.append((row, backend))
        return due

    def _pause_us(self, row: BackendRow, problem: str | None) -> int:
        pause_s = self._least_pause_s(row)
        if problem is None:
            pause_s = max(TRY_EVERY_S, pause_s)
        return int(pause_s * 1_000_000)

    def _least_pause_s(self, row: BackendRow) -> float:
        """As its limits allow it."""
        limits = self._limits.get(row.backend_id, {})
        pauses_s = [
            _MONTH_S * LIMIT_PART * count / max(1, limits[kind])
            for kind, count in _REQUESTS_EACH.items()
            if kind in limits
        ]
        return max(pauses_s, default=0.0)

    def _try(self, backend: Backend) -> tuple[bool, str | None]:
        """Whether anything was found out, and what is wrong."""
        problem: str | None = None
        for _ in range(TRY_COUNT):
            probe = Probe(
                self._store,
                backend,
                self._announcer,
                self._clock,
                ring=self._ring,
                size_bytes=TRIAL_BYTES,
                fence=self._fence,
            )
            last = probe.run(puts=True)[-1]
            # That it does not delete leaves a piece to the cleanup, and says nothing about writes.
            if last.error is None or last.name == "delete":
                return True, None
            failure = probe.failure
            if last.name == "identity" or isinstance(failure, BackendOverLimit):
                return False, None
            if not isinstance(failure, BackendError):
                # Not the store's fault.
                raise AssertionError(last.error) if failure is None else failure
            problem = f"a trial write ended at {last.name!r}: {last.error}"
        return True, problem

    def _note(self, tx: Tx, *, row: BackendRow, problem: str | None) -> None:
        self._fence(tx)
        counts_s = COUNTS_PAUSES * max(TRY_EVERY_S, self._least_pause_s(row))
        note_canary(tx, row.backend_id, problem=problem, counts_s=counts_s)

    def _tell(self, row: BackendRow, problem: str | None) -> None:
        if problem is not None and row.write_problem is None:
            _log.error("backend.takes_no_writes", extra={"backend": row.name, "problem": problem})
        elif problem is None and row.write_problem is not None:
            _log.info("backend.takes_writes_again", extra={"backend": row.name})
