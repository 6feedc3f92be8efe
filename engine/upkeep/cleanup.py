"""Deleting what waits in the cleanup queue, key by exact key, with backends that are down left in peace."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from engine.clock import Clock
from engine.errors import BackendError, BackendTimeout, BackendUnavailable, ForeignBackend
from engine.metadata import cleanup
from engine.metadata.store import Store, Tx
from engine.records import CleanupItem, Lease, Progress
from engine.units import MINUTE_S

BATCH_COUNT_MAX = 100
"""Keys claimed and deleted in one unit."""

UNIT_S_MAX = 10.0
"""A unit begins no further deletion after this, so that it ends well within its lease."""

PUT_OFF_S = 5 * MINUTE_S
"""Pause of rows that were not tried because their backend had just failed."""

CLAIM_STALE_S = 10 * MINUTE_S
"""Claims without a lease so old are those of a process that died. If it did not, the keys are deleted twice."""

_log = logging.getLogger(__name__)

Fence = Callable[[Tx], None]


class DeletingBackend(Protocol):
    """What cleanup needs of a backend; see `engine.backends.base.Backend`."""

    def check_identity(self) -> None: ...

    def delete(self, storage_key: str, stored_bytes: int, /) -> None: ...


class BackendRegistry(Protocol):
    """Where backends are found."""

    def get(self, backend_id: int, /) -> DeletingBackend:
        """Raises BackendUnavailable for one that this process does not know."""


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What became of a batch."""

    deleted: list[CleanupItem] = field(default_factory=list)
    failed: list[tuple[CleanupItem, str]] = field(default_factory=list)
    untried: list[CleanupItem] = field(default_factory=list)
    out_of_time: list[CleanupItem] = field(default_factory=list)


class CleanupSweeper:
    """A worker unit (`work`): deletes one batch of due keys.

    A key is used once ever, so deleting it again is harmless: an interruption before the batch is settled repeats
    deletions and nothing else. One sweeper serves one run: what failed in it is not asked again before the next.
    """

    name = "cleanup"

    def __init__(
        self,
        store: Store,
        backends: BackendRegistry,
        *,
        fence: Fence,
        process_id: bytes,
        clock: Clock,
        lease: Lease | None = None,
        batch_count_max: int = BATCH_COUNT_MAX,
        ignore_grace: bool = False,
    ) -> None:
        """`fence` raises LeaseLost in the transaction of every write; `ignore_grace` takes rows before they are due.

        `lease` is the one that the fence checks: with its end the claims end, whatever becomes of this process.
        """
        self._store = store
        self._backends = backends
        self._fence = fence
        self._process_id = process_id
        self._clock = clock
        self._lease = lease
        self._batch_count_max = batch_count_max
        self._ignore_grace = ignore_grace
        # Backends that failed in this run, and rows that did. They wait, whatever else is due.
        self._down: set[int] = set()
        self._failed: set[int] = set()
        self._has_looked_for_stale_claims = False

    def work(self) -> Progress:
        """Delete one batch. Deferred: rows whose deletion failed, and rows of a backend that had failed before."""
        items = self._store.write(self._claim)
        self._has_looked_for_stale_claims = True
        if not items:
            return Progress()
        known = self._failed.copy()
        outcome = self._delete(items)
        self._store.write(lambda tx: self._settle(tx, outcome))
        for item, error in outcome.failed:
            if item.attempts + 1 >= cleanup.ATTEMPT_COUNT_MAX:
                _log.error(
                    "cleanup.buried",
                    extra={"backend_id": item.backend_id, "cleanup_id": item.cleanup_id, "error": error},
                )
        is_full = len(items) == self._batch_count_max
        has_fresh = any(item.cleanup_id not in known for item in items)
        return Progress(
            done_count=len(outcome.deleted),
            deferred_count=len(outcome.failed) + len(outcome.untried),
            has_more=(is_full and has_fresh) or bool(outcome.out_of_time),
        )

    def _claim(self, tx: Tx) -> list[CleanupItem]:
        self._fence(tx)
        if not self._has_looked_for_stale_claims:
            # It looks through the whole queue, so once a run is often enough.
            older_than_us = tx.now_us() - CLAIM_STALE_S * 1_000_000
            cleanup.return_stale_claims(tx, older_than_us=older_than_us, lease=self._lease)
        return cleanup.claim_due(
            tx,
            process_id=self._process_id,
            lease=self._lease,
            count_max=self._batch_count_max,
            ignore_grace=self._ignore_grace,
        )

    def _settle(self, tx: Tx, outcome: _Outcome) -> None:
        self._fence(tx)
        cleanup.settle_deleted(tx, outcome.deleted)
        for item, error in outcome.failed:
            cleanup.postpone(tx, item, error)
        cleanup.put_off(tx, outcome.untried, pause_s=PUT_OFF_S)
        cleanup.put_off(tx, outcome.out_of_time, pause_s=0)

    def _delete(self, items: Sequence[CleanupItem]) -> _Outcome:
        outcome = _Outcome()
        checked: dict[int, DeletingBackend] = {}
        deadline_s = self._clock.monotonic_s() + UNIT_S_MAX
        for item in items:
            if item.backend_id in self._down or item.cleanup_id in self._failed:
                self._failed.add(item.cleanup_id)
                outcome.untried.append(item)
                continue
            if self._clock.monotonic_s() > deadline_s:
                outcome.out_of_time.append(item)
                continue
            try:
                if item.backend_id not in checked:
                    checked[item.backend_id] = self._open(item.backend_id)
                checked[item.backend_id].delete(item.storage_key, item.size_bytes)
            except BackendError as error:
                self._failed.add(item.cleanup_id)
                outcome.failed.append((item, str(error)))
                if isinstance(error, (BackendUnavailable, BackendTimeout, ForeignBackend)):
                    self._down.add(item.backend_id)
                    _log.warning(
                        "cleanup.backend_down", extra={"backend": error.backend, "error": str(error)}
                    )
            else:
                outcome.deleted.append(item)
        return outcome

    def _open(self, backend_id: int) -> DeletingBackend:
        """A key that is missing from a disk that is not mounted is not gone, so the identity is asked first."""
        backend = self._backends.get(backend_id)
        backend.check_identity()
        return backend
