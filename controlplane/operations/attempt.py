"""One process at one operation: a step after the other under its lease, until it ends, is cancelled, or is left."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from controlplane.operations.kinds import OperationKind
from controlplane.operations.pace import Budget, Budgets, SharedPace, give_way
from controlplane.operations.rates import Rates
from controlplane.status import reason_of
from engine.deployment.opening import OpenDeployment
from engine.errors import DatabaseFull, DatabaseUnavailable, EngineError, LeaseLost, OutcomeUnknown
from engine.metadata import leases, operation_runs
from engine.metadata.leases import LeaseFence
from engine.metadata.operation_runs import Claim, Ending
from engine.metadata.operations import OperationProgress, OperationRow, OperationState
from engine.records import Lease
from engine.upkeep.long_work import Extent, Json, LongWork, Pace, Step

LEASE_TTL_S = 30.0
RENEW_EVERY_S = 10.0
SILENCE_MAX_S = 600.0
"""A step that took longer and moved nothing meanwhile hangs: its lease is renewed no more."""

CLAIM_COUNT_MAX = 20
"""Claims without a step stored in between, such as of a work that kills its process; then it has failed."""

DATABASE_AWAY_WAIT_S = 1.0
WARNING_CHARACTERS_MAX = 500
WARNING_COUNT_MAX = 100
"""Warnings that are kept; more are counted."""

RATE_FIELD = "max_bytes_per_second"
"""Field of any request: most bytes a second that this operation may move; nothing or 0 means no bound of its own."""

_log = logging.getLogger("penstock.operations")

_DATABASE_AWAY = (DatabaseUnavailable, DatabaseFull, OutcomeUnknown)
T = TypeVar("T")


class Attempt(threading.Thread):
    """The thread that carries a claimed operation out.

    `leave` ends it after the step at hand, with the lease given back; `cancel` only makes a step that waits for its
    pace end early: that the operation was cancelled stands in its row.
    """

    def __init__(
        self,
        deployment: OpenDeployment,
        kind: OperationKind,
        claim: Claim,
        *,
        budgets: Budgets,
        renew_every_s: float = RENEW_EVERY_S,
    ) -> None:
        super().__init__(name=f"operation-{claim.lease.worker}", daemon=True)
        self._deployment = deployment
        self._store = deployment.store
        self._kind = kind
        self._claim = claim
        self._renew_every_s = renew_every_s
        self._leaving = threading.Event()
        self._interrupted = threading.Event()
        self._alive_s = self._renewed_s = time.monotonic()
        self._pace = self._make_pace(budgets)

    @property
    def operation_name(self) -> str:
        return self._claim.operation.name

    @property
    def lease(self) -> Lease:
        return self._claim.lease

    def leave(self) -> None:
        self._leaving.set()
        self._interrupted.set()

    def cancel(self) -> None:
        self._interrupted.set()

    def renew_if_due(self) -> None:
        """Keep the lease while a step is under way; of another thread. Raises what a write raises."""
        now_s = time.monotonic()
        if now_s - self._renewed_s >= self._renew_every_s and now_s - self._alive_s < SILENCE_MAX_S:
            self._store.write(partial(leases.renew, lease=self.lease, ttl_s=LEASE_TTL_S))
            self._renewed_s = now_s

    def run(self) -> None:
        give_way()
        fields = {"operation": self.operation_name, "method": self._kind.method}
        _log.info("operation.taken_up", extra=fields)
        try:
            state = self._carry_out()
        except LeaseLost:
            _log.warning("operation.lease_lost", extra=fields)
        except Exception:  # whatever it is, the lease runs out, and somebody goes on
            _log.exception("operation.attempt_failed", extra=fields)
        else:
            _log.info("operation.left" if state is None else f"operation.{state.value}", extra=fields)

    def _carry_out(self) -> OperationState | None:
        """How it ended; null when it was left for somebody else."""
        operation = self._claim.operation
        while True:
            try:
                return self._go_on(operation)
            except _DATABASE_AWAY as error:
                self._tell_away(error)
            resumed = self._resumed()
            if resumed is None:
                return None
            operation = resumed

    def _resumed(self) -> OperationRow | None:
        """What was stored, once the database answers; null when the process stops before. Raises LeaseLost."""
        while not self._leaving.wait(DATABASE_AWAY_WAIT_S):
            try:
                return self._store.write(partial(operation_runs.resume, lease=self.lease, ttl_s=LEASE_TTL_S))
            except _DATABASE_AWAY as error:
                self._tell_away(error)
        return None

    def _go_on(self, operation: OperationRow) -> OperationState | None:
        run = _Run(self, operation)
        if self._claim.claim_count > CLAIM_COUNT_MAX:
            error = f"taken up {CLAIM_COUNT_MAX} times without a step that could be stored"
            return run.end(Ending(state=OperationState.FAILED, error=error, error_reason="GIVEN_UP"))
        try:
            return self._steps(run, operation)
        except (LeaseLost, *_DATABASE_AWAY):
            raise
        except Exception as error:
            if not isinstance(error, EngineError):
                _log.exception("operation.failed", extra={"operation": operation.name})
            told = str(error) if isinstance(error, EngineError) else f"internal error: {type(error).__name__}"
            return run.end(Ending(state=OperationState.FAILED, error=told, error_reason=reason_of(error)))

    def _steps(self, run: "_Run", operation: OperationRow) -> OperationState | None:
        generation, work = self._deployment.generation, self._build(operation)
        is_cancelled = operation.is_cancel_requested
        if not is_cancelled and not run.progress.is_measured:
            is_cancelled = run.measured(work.measure())
        while not is_cancelled:
            if self._leaving.is_set():
                self._store.write(partial(leases.release, lease=self.lease))
                return None
            if self._deployment.generation != generation:
                # Backends that went with the last generation are closed once nobody has them any more.
                generation, work = self._deployment.generation, self._build(operation)
            self._alive()
            step = work.step(run.cursor)
            run.add(step)
            if step.is_last:
                return run.end(Ending(state=OperationState.SUCCEEDED, result=step.result))
            is_cancelled = run.store()
        work.cancelled()
        return run.end(Ending(state=OperationState.CANCELLED))

    def _build(self, operation: OperationRow) -> LongWork:
        request = cast(Mapping[str, Json], operation.request)
        return self._kind.build(self._deployment, request, LeaseFence(self.lease), self._pace)

    def _make_pace(self, budgets: Budgets) -> Pace:
        rate_bytes = self._claim.operation.request.get(RATE_FIELD)
        limits = [] if self._kind.rate_of is None else [budgets.of(self._kind.rate_of)]
        if isinstance(rate_bytes, int) and rate_bytes > 0:
            own = Budget()
            own.limit(rate_bytes)
            limits.append(own)
        return SharedPace(
            limits, interrupted=self._interrupted, while_waiting=self._alive, courtesy=budgets.courtesy
        )

    def _alive(self) -> None:
        self._alive_s = time.monotonic()

    def write(self, unit: Callable[..., T]) -> T:
        """Of this attempt's run, under its lease; raises LeaseLost and what a write raises."""
        return self._store.write(partial(unit, lease=self.lease))

    def _tell_away(self, error: EngineError) -> None:
        _log.warning("operation.postponed", extra={"operation": self.operation_name, "error": str(error)})


class _Run:
    """What is known of an operation from its row on, and stored again with every step."""

    def __init__(self, attempt: Attempt, operation: OperationRow) -> None:
        self._attempt = attempt
        self._warnings = list(operation.warnings)
        self._rates = Rates()
        self.cursor = operation.cursor
        self.progress: OperationProgress = operation.progress

    def measured(self, extent: Extent) -> bool:
        """Stored at once, so that who watches learns it; whether the operation was cancelled."""
        self.progress = replace(
            self.progress, is_measured=True, total_count=extent.item_count, total_bytes=extent.size_bytes
        )
        return self.store()

    def add(self, step: Step) -> None:
        self._rates.add(step.item_count + step.failed_count, step.moved_bytes)
        room = WARNING_COUNT_MAX - len(self._warnings)
        self._warnings += [told[:WARNING_CHARACTERS_MAX] for told in step.warnings[: max(0, room)]]
        self.cursor = step.cursor
        self.progress = replace(
            self.progress,
            done_count=self.progress.done_count + step.item_count,
            failed_count=self.progress.failed_count + step.failed_count,
            done_bytes=self.progress.done_bytes + step.moved_bytes,
            items_per_second=self._rates.items_per_second,
            bytes_per_second=self._rates.bytes_per_second,
            stage=step.stage,
            current_item=step.current_item,
            warning_count=self.progress.warning_count + len(step.warnings),
        )

    def store(self) -> bool:
        """Whether the operation was cancelled."""
        return self._attempt.write(
            partial(
                operation_runs.store_step,
                cursor=self.cursor,
                progress=self.progress,
                warnings=self._warnings,
            )
        )

    def end(self, ending: Ending) -> OperationState:
        self._attempt.write(
            partial(operation_runs.finish, ending=ending, progress=self.progress, warnings=self._warnings)
        )
        return ending.state
