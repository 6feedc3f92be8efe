"""What rows say of the deployment beside its backends, workers and processes, and what to do about each finding."""

from collections.abc import Iterable, Iterator, Sequence

from controlplane.health import DEGRADED, OK, HealthCheck
from controlplane.overview.limit_checks import check_limits
from engine.metadata import cleanup, generations, repairs, undelivered
from engine.metadata.processes import list_instances
from engine.metadata.repairs import RepairKind
from engine.metadata.store import Tx
from engine.metadata.switches import find_read_only
from engine.metadata.undelivered import TargetBacklog
from engine.upkeep.away import HealPolicy, read_presence
from engine.upkeep.replication import STOPPED

INSTANCE_COUNT_MAX = 200

FAILED_TRIES_MIN = 6
"""Tries that an event for a target failed before that is told of: by then they have gone on for some minutes."""

_REMEDIES = {
    "database": "see whether it runs and can be reached; the server's log says more",
    "backends/": "see `adminctl backend get {leaf}`: is its disk mounted or its store within reach, and has it room?",
    "workers/": "see `adminctl worker get {leaf}`; it is tried again, or at once by `adminctl worker trigger {leaf}`",
    "instances": "see `adminctl instance list` and the log of the process",
    "dataplane": "start `penstock serve` on a node, or see the log of the one that runs",
}
"""By the name of a check, or how it begins."""


def check_deployment(tx: Tx, policy: HealPolicy) -> Iterator[HealthCheck]:
    """The switch, what was given up, copies that cannot be made, limits, generations that not every process runs."""
    yield _read_only(tx)
    yield _cleanup(tx)
    yield check_notifications(undelivered.by_target(tx))
    yield _replication(tx, policy)
    yield check_limits(tx)
    yield _generations(tx)


def with_remedies(checks: Iterable[HealthCheck]) -> list[HealthCheck]:
    """The same, each that is not OK with what to do about it."""
    told = list(checks)
    for check in told:
        if check.status != OK and not check.remedy:
            leaf = check.name.partition("/")[2]
            matching = (text for name, text in _REMEDIES.items() if check.name.startswith(name))
            check.remedy = next(matching, "").format(leaf=leaf)
    return told


def _read_only(tx: Tx) -> HealthCheck:
    switch = find_read_only(tx)
    if switch is None or not switch.is_on:
        return HealthCheck(name="writes", status=OK)
    reason = f": {switch.reason}" if switch.reason else ""
    return HealthCheck(
        name="writes",
        status=DEGRADED,
        message=f"read-only, by {switch.changed_by}{reason}",
        remedy="`adminctl system read-only off` lets clients write again",
    )


def _cleanup(tx: Tx) -> HealthCheck:
    dead_count = cleanup.depth(tx).dead_count
    if not dead_count:
        return HealthCheck(name="cleanup", status=OK)
    return HealthCheck(
        name="cleanup",
        status=DEGRADED,
        message=f"{dead_count} deletions were given up after many attempts",
        remedy="see `adminctl deadletter list`; once their backend works again, `adminctl deadletter retry`",
    )


def _replication(tx: Tx, policy: HealPolicy) -> HealthCheck:
    failing_count = repairs.count_repairs(tx)[RepairKind.HEAL].failing_count
    told = [STOPPED] if read_presence(tx, policy).is_stopped else []
    if failing_count:
        told.append(f"{failing_count} blobs lack copies that could not be made so far")
    if not told:
        return HealthCheck(name="replication", status=OK)
    return HealthCheck(
        name="replication",
        status=DEGRADED,
        message="; ".join(told),
        remedy="see `adminctl replication status`, and why with `adminctl replication list too-few`",
    )


def check_notifications(backlogs: Sequence[TargetBacklog]) -> HealthCheck:
    """Whether events arrive where they are told of."""
    given_up = [f"{each.dead_count} for {each.target}" for each in backlogs if each.dead_count]
    failing = [each for each in backlogs if each.waiting_count and each.most_attempts >= FAILED_TRIES_MIN]
    told = [f"events were given up: {', '.join(given_up)}"] if given_up else []
    told += [
        f"{each.target} takes none of {each.waiting_count} that wait: {each.last_error}" for each in failing
    ]
    if not told:
        return HealthCheck(name="notifications", status=OK)
    remedy = "see `adminctl notification list`, and try a target with `adminctl notification test NAME`"
    if given_up:
        remedy += "; once it takes events, `adminctl notification retry`"
    return HealthCheck(name="notifications", status=DEGRADED, message="; ".join(told), remedy=remedy)


def _generations(tx: Tx) -> HealthCheck:
    newest = generations.newest_number(tx)
    behind = [
        f"process {process.pid} on {row.node} runs {process.generation}"
        for row in list_instances(tx, count_max=INSTANCE_COUNT_MAX)
        for process in row.processes
        if row.is_alive and process.is_alive and process.generation not in (None, newest)
    ]
    if not behind:
        return HealthCheck(name="generations", status=OK)
    return HealthCheck(
        name="generations",
        status=DEGRADED,
        message=f"{newest} is the newest generation of the configuration; {'; '.join(behind)}",
        remedy="see `adminctl instance list` for why; a process takes it within seconds, or when it is started again",
    )
