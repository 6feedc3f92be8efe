"""Backends as messages, with all that operators want to know of one."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from penstock.admin.v1 import backend_pb2
from penstock.admin.v1 import backend_service_pb2 as pb

from controlplane.times import duration, timestamp
from engine.backends.base import Backend
from engine.backends.registry import volume_in
from engine.deployment.rows import TAKE_OUT
from engine.errors import BackendError
from engine.metadata import generations
from engine.metadata.backends import (
    BackendStanding,
    BackendView,
    find_standing,
    list_backends,
    list_views,
)
from engine.metadata.quota import QuotaTotals, backend_subject, read_quota
from engine.metadata.store import Tx
from engine.records import BackendRow, BackendState
from engine.upkeep.drain_plan import DrainPlan
from engine.upkeep.probing import ProbeStep
from engine.upkeep.removal_plan import RemovalPlan

VIEW_AGE_MAX_S = 30
"""A view of a backend that is older than this says nothing any more: whoever had it is gone, or hangs."""

STATES = {
    BackendState.ACTIVE: backend_pb2.BACKEND_STATE_ACTIVE,
    BackendState.READ_ONLY: backend_pb2.BACKEND_STATE_READ_ONLY,
    BackendState.DRAINING: backend_pb2.BACKEND_STATE_DRAINING,
    BackendState.DRAINED: backend_pb2.BACKEND_STATE_DRAINED,
    BackendState.REMOVED: backend_pb2.BACKEND_STATE_REMOVED,
}

_HEALTHS = {
    None: backend_pb2.BACKEND_HEALTH_UNSPECIFIED,
    "healthy": backend_pb2.BACKEND_HEALTH_HEALTHY,
    "degraded": backend_pb2.BACKEND_HEALTH_DEGRADED,
    "suspected": backend_pb2.BACKEND_HEALTH_SUSPECTED,
    "failed": backend_pb2.BACKEND_HEALTH_FAILED,
}
"""By the words of `engine.placement.health.Health`, the least trusted last."""

FindBackend = Callable[[int], Backend | None]
"""A backend as this process has it open; null when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBackend:
    """A backend's rows.

    `is_named`: the configuration in force names it; `is_verified`: it does not let blocks leave unchecked.
    """

    row: BackendRow
    standing: BackendStanding
    totals: QuotaTotals | None
    views: list[BackendView]
    is_named: bool
    is_verified: bool

    @property
    def problems(self) -> list[str]:
        """What instances and trial writes say is wrong with it, each thing once."""
        found = self._seen_problems
        return [*found, self.row.write_problem] if self.row.write_problem is not None else found

    @property
    def is_itself(self) -> bool:
        """Whether it was registered, and no instance finds it otherwise than it was then."""
        was_removed = self.row.state is BackendState.REMOVED
        return self.row.is_registered and not was_removed and not self._seen_problems

    @property
    def _seen_problems(self) -> list[str]:
        return list(dict.fromkeys(each.problem for each in self.views if each.problem is not None))


def see_backends(tx: Tx) -> list[SeenBackend]:
    """All backends by name, but those that were removed."""
    return [each for each in see_all_backends(tx) if each.row.state is not BackendState.REMOVED]


def see_all_backends(tx: Tx) -> list[SeenBackend]:
    """All backends by name; of those that an operator removed the ones that the configuration still names."""
    since_us = tx.now_us() - VIEW_AGE_MAX_S * 1_000_000
    named = _named(tx)
    seen = []
    for row in list_backends(tx):
        standing = find_standing(tx, row.backend_id)
        was_removed = row.state is BackendState.REMOVED
        if was_removed and (standing.operation is None or row.name not in named):
            continue
        seen.append(
            SeenBackend(
                row=row,
                standing=standing,
                totals=read_quota(tx, backend_subject(row.backend_id)),
                views=[] if was_removed else list_views(tx, row.backend_id, since_us=since_us),
                is_named=row.name in named,
                is_verified=named.get(row.name, True),
            )
        )
    return seen


def write_backend(seen: SeenBackend, find: FindBackend) -> backend_pb2.Backend:
    row, standing = seen.row, seen.standing
    return backend_pb2.Backend(
        name=f"backends/{row.name}",
        kind=row.kind,
        node=row.node or "",
        failure_domain=row.failure_domain,
        state=STATES[row.state],
        state_reason=standing.reason or "",
        state_time=timestamp(standing.changed_at_us),
        operation=standing.operation or "",
        capacity=None if seen.totals is None else _write_capacity(seen.totals, find(row.backend_id)),
        identity_ok=seen.is_itself,
        problem="; ".join(seen.problems),
        last_probe_time=timestamp(max((each.seen_at_us for each in seen.views), default=None)),
        views=[
            backend_pb2.BackendView(
                instance=f"instances/{each.instance_id.hex()}",
                problem=each.problem or "",
                seen_time=timestamp(each.seen_at_us),
                health=_HEALTHS[each.health],
                phi=each.phi or 0.0,
                breaker=each.breaker or "",
            )
            for each in seen.views
        ],
        read_only=row.state is BackendState.READ_ONLY,
        notice=TAKE_OUT if row.state is BackendState.REMOVED and seen.is_named else "",
        health=max((_HEALTHS[each.health] for each in seen.views), default=_HEALTHS[None]),
        unverified_reads=not seen.is_verified,
    )


def write_drain_plan(plan: DrainPlan, names: dict[int, str]) -> pb.DrainPlan:
    return pb.DrainPlan(
        piece_count=plan.piece_count,
        size_bytes=plan.size_bytes,
        sole_count=plan.sole_count,
        estimated=plan.is_estimate,
        destinations=[
            pb.DrainDestination(
                backend=f"backends/{names[each.backend_id]}",
                piece_count=each.piece_count,
                size_bytes=each.size_bytes,
                free_bytes_after=each.free_bytes_after,
            )
            for each in plan.fit.shares
        ],
        shortfalls=plan.lacks,
    )


def write_removal_plan(plan: RemovalPlan) -> pb.RemovalPlan:
    return pb.RemovalPlan(
        file_count=plan.file_count,
        file_bytes=plan.file_bytes,
        waiting_count=plan.leftovers.waiting_count,
        dead_letter_count=plan.leftovers.dead_count,
        foreign_count=plan.foreign_count,
        foreign_names=plan.foreign_names,
        due_time=timestamp(plan.leftovers.due_us),
        obstacles=plan.lacks,
        problem=plan.problem or "",
    )


def write_probe_step(step: ProbeStep) -> pb.ProbeStep:
    return pb.ProbeStep(name=step.name, latency=duration(step.took_s), error=step.error or "")


def _write_capacity(totals: QuotaTotals, backend: Backend | None) -> backend_pb2.BackendCapacity:
    return backend_pb2.BackendCapacity(
        limit_bytes=totals.limit_bytes,
        used_bytes=totals.used_bytes,
        orphan_bytes=totals.orphan_bytes,
        reserved_bytes=totals.reserved_bytes,
        piece_count=totals.object_count,
        disk_free_bytes=_disk_free_bytes(backend),
    )


def _disk_free_bytes(backend: Backend | None) -> int | None:
    volume = volume_in(backend)
    if volume is None:
        return None
    try:
        return volume.disk_room().free_bytes
    except BackendError:
        return None


def _named(tx: Tx) -> dict[str, bool]:
    """The backends of the configuration in force by name, with whether reads of them are verified."""
    newest = generations.current(tx)
    if newest is None:
        return {}
    return {
        each["name"]: each.get("verify_reads") is not False
        for each in json.loads(newest.document)["backends"]
    }
