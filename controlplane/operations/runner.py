"""All operations of one process: taken up when they wait, their leases kept while they run, left when it stops."""

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial

from controlplane.operations.attempt import LEASE_TTL_S, RENEW_EVERY_S, Attempt
from controlplane.operations.kinds import KINDS, OperationKind, by_method
from controlplane.operations.pace import Budgets
from controlplane.operations.sharing import count_sharers
from engine.deployment.opening import OpenDeployment
from engine.errors import DatabaseUnavailable, EngineError, LeaseLost
from engine.metadata import operation_runs
from engine.metadata.operation_runs import OpenOperation

POLL_S = 0.5
"""How often it looks for operations that wait, and for those that were cancelled."""

DATABASE_DOWN_POLL_S = 5.0
OPERATION_COUNT_MAX = 4
"""Operations that a process carries out at once; others wait, or are another instance's."""

CANCELLED_COUNT_MAX = 1
"""One more when it was cancelled: that takes a moment, and whoever cancelled had better not wait for all the others."""

_log = logging.getLogger("penstock.operations")


class OperationRunner(threading.Thread):
    """Carries out what `engine.metadata.operations.start` accepted, from `start` to `stop`. Made after the fork."""

    def __init__(
        self,
        deployment: OpenDeployment,
        budgets: Budgets,
        *,
        kinds: Sequence[OperationKind] = KINDS,
        renew_every_s: float = RENEW_EVERY_S,
    ) -> None:
        super().__init__(name="operations", daemon=True)
        self._deployment = deployment
        self._store = deployment.store
        self._budgets = budgets
        self._kinds = by_method(kinds)
        self._renew_every_s = renew_every_s
        self._stopping = threading.Event()
        self._attempts: dict[str, Attempt] = {}

    def run(self) -> None:
        pause_s = 0.0
        while not self._stopping.wait(pause_s):
            pause_s = POLL_S
            try:
                self.look()
            except DatabaseUnavailable as error:
                pause_s = DATABASE_DOWN_POLL_S
                _log.warning("operations.postponed", extra={"error": str(error)})
            except EngineError as error:
                _log.warning("operations.postponed", extra={"error": str(error)})
            except Exception:  # the runner outlives whatever an operation does
                _log.exception("operations.failed")

    def stop(self, timeout_s: float) -> bool:
        """Leave every operation after the step at hand; false when one is still at it.

        Such a one is abandoned with the process: its lease runs out, and another one goes on with it.
        """
        deadline_s = time.monotonic() + timeout_s
        self._stopping.set()
        if self.ident is not None:
            self.join(timeout_s)
        if self.is_alive():
            _log.error("operations.stop_timed_out", extra={"operations": "all"})
            return False
        for attempt in self._attempts.values():
            attempt.leave()
        for attempt in self._attempts.values():
            attempt.join(max(0.0, deadline_s - time.monotonic()))
        late = [name for name, attempt in self._attempts.items() if attempt.is_alive()]
        if late:
            _log.error("operations.stop_timed_out", extra={"operations": ",".join(late)})
        return not late

    def look(self) -> None:
        """Keep what runs and its part of rates, stop what was cancelled, take up what waits.

        Raises what reads and writes raise.
        """
        self._attempts = {name: each for name, each in self._attempts.items() if each.is_alive()}
        self._renew()
        if self._budgets.is_any_bounded:
            self._budgets.share(self._store.read(partial(count_sharers, kinds=self._kinds)))
        waiting: list[OpenOperation] = []
        for operation in self._store.read(operation_runs.list_open):
            mine = self._attempts.get(operation.name)
            if mine is not None:
                if operation.is_cancel_requested:
                    mine.cancel()
            elif operation.method in self._kinds and not operation.is_held:
                waiting.append(operation)
        # Those that were cancelled first; the others stay in their order.
        waiting.sort(key=lambda each: not each.is_cancel_requested)
        for operation in waiting:
            room = OPERATION_COUNT_MAX + (CANCELLED_COUNT_MAX if operation.is_cancel_requested else 0)
            if len(self._attempts) >= room:
                return
            self._take_up(operation)

    def _renew(self) -> None:
        for attempt in self._attempts.values():
            try:
                attempt.renew_if_due()
            except LeaseLost:
                # Its next write learns it as well, if it has not ended meanwhile.
                attempt.leave()

    def _take_up(self, operation: OpenOperation) -> None:
        claim = self._store.write(
            partial(
                operation_runs.claim,
                name=operation.name,
                holder=self._deployment.process_id,
                ttl_s=LEASE_TTL_S,
            )
        )
        if claim is None:
            return
        attempt = Attempt(
            self._deployment,
            self._kinds[operation.method],
            claim,
            budgets=self._budgets,
            renew_every_s=self._renew_every_s,
        )
        self._attempts[operation.name] = attempt
        attempt.start()
