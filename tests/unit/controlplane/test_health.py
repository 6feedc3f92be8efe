"""How a deployment is, told from its rows: what is wrong is named, what was chosen is not an alarm."""

from dataclasses import replace

import pytest

from controlplane.health import (
    DEGRADED,
    FAILED,
    OK,
    HealthCheck,
    Status,
    check_backend,
    check_integrity,
    check_planes,
    check_worker,
    worst,
)
from controlplane.services.backend_messages import SeenBackend
from engine.metadata.backends import BackendStanding, BackendView
from engine.metadata.processes import InstanceRow, ProcessRow
from engine.metadata.workers import Configured, Pause, WorkerRow, WorkerStanding
from engine.names import BackendName
from engine.records import BackendRow, BackendState


def backend(
    *problems: str, is_registered: bool = True, state: BackendState = BackendState.ACTIVE
) -> SeenBackend:
    row = BackendRow(
        backend_id=1,
        name=BackendName("near"),
        kind="volume",
        node="node-1",
        failure_domain="disk-1",
        identity_id=bytes(16),
        is_registered=is_registered,
        state=state,
    )
    return SeenBackend(
        row=row,
        standing=BackendStanding(state=state, operation=None, reason=None, changed_at_us=1),
        totals=None,
        views=[BackendView(instance_id=bytes(16), problem=problem, seen_at_us=1) for problem in problems],
        is_named=True,
        is_verified=True,
    )


def worker(*, failures: int = 0, is_enabled: bool = True, is_paused: bool = False) -> WorkerRow:
    return WorkerRow(
        worker="cleanup",
        standing=WorkerStanding(
            configured=Configured(is_enabled=is_enabled, interval_s=1.0),
            pause=Pause(creator="alice", why=None, until_us=None, at_us=0) if is_paused else None,
        ),
        triggered_at_us=None,
        leader=None,
        lease_expires_at_us=None,
        last_started_us=None,
        last_success_us=None,
        last_failure_us=None,
        last_error="BackendTimeout: slow" if failures else None,
        consecutive_failure_count=failures,
    )


def instance(
    *planes: str, node: str = "node-1", is_alive: bool = True, last_error: str | None = None
) -> InstanceRow:
    processes = [
        ProcessRow(
            process_id=bytes(16),
            plane=plane,
            pid=7,
            generation=1,
            last_error=last_error,
            started_at_us=0,
            heartbeat_at_us=0,
            is_alive=is_alive,
        )
        for plane in planes
    ]
    return InstanceRow(
        instance_id=bytes(16),
        node=node,
        version="1",
        started_at_us=0,
        heartbeat_at_us=0,
        is_alive=is_alive,
        processes=processes,
    )


def test_a_backend_with_problems_has_failed_and_says_all_of_them() -> None:
    check = check_backend(backend("identity is missing", "disk full"))

    assert (check.name, check.status) == ("backends/near", FAILED)
    assert check.message == "identity is missing; disk full"


def seen_as(*views: tuple[str, float, str | None]) -> SeenBackend:
    """A backend as one instance after the other sees it: health, phi, breaker."""
    told = [
        BackendView(
            instance_id=bytes([number]) * 16,
            problem=None,
            seen_at_us=1,
            health=health,
            phi=phi,
            breaker=breaker,
        )
        for number, (health, phi, breaker) in enumerate(views)
    ]
    return replace(backend(), views=told)


def test_a_backend_that_some_suspect_says_so() -> None:
    check = check_backend(seen_as(("healthy", 0.0, "closed"), ("suspected", 5.25, "open")))

    assert check.status == DEGRADED
    assert "suspected by 1 of 2 instances (phi 5.2)" in check.message
    assert "not called by 1 of 2 instances" in check.message
    assert "adminctl backend reset-breaker near" in check.remedy


def test_a_backend_that_is_tried_last_is_no_alarm() -> None:
    assert check_backend(seen_as(("degraded", 1.5, "half-open"))).status == OK


def test_a_backend_that_was_never_registered_is_noticed() -> None:
    assert check_backend(backend(is_registered=False)).status == DEGRADED


def test_a_backend_that_only_reads_by_choice_is_well() -> None:
    check = check_backend(backend(state=BackendState.READ_ONLY))

    assert (check.status, check.message) == (OK, "read-only")


def test_a_worker_that_keeps_failing_says_how_often_and_why() -> None:
    check = check_worker(worker(failures=3))

    assert check.status == DEGRADED
    assert "3 times" in check.message
    assert "BackendTimeout: slow" in check.message


@pytest.mark.parametrize("row", [worker(failures=3, is_enabled=False), worker(failures=3, is_paused=True)])
def test_a_worker_that_is_off_is_no_alarm(row: WorkerRow) -> None:
    assert check_worker(row).status == OK


def test_both_planes_alive_is_well() -> None:
    assert [check.status for check in check_planes([instance("dataplane", "controlplane")])] == [OK, OK]


def test_without_a_data_plane_clients_are_not_served() -> None:
    checks = {check.name: check for check in check_planes([instance("controlplane")])}

    assert checks["dataplane"].status == FAILED


def test_an_instance_that_was_replaced_on_its_node_is_no_alarm() -> None:
    rows = [instance("dataplane", "controlplane"), instance("dataplane", is_alive=False)]

    assert [check.status for check in check_planes(rows)] == [OK, OK]


def test_a_node_on_which_nothing_runs_any_more_is_named() -> None:
    rows = [instance("dataplane"), instance("dataplane", node="node-2", is_alive=False)]

    check = check_planes(rows)[0]

    assert check.status == DEGRADED
    assert "node-2" in check.message


def test_a_process_that_could_not_apply_a_generation_is_heard() -> None:
    check = check_planes([instance("dataplane", last_error="no such file")])[0]

    assert check.status == DEGRADED
    assert "process 7: no such file" in check.message


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({"database": OK, "backends/a": OK}, OK),
        ({"database": FAILED}, FAILED),
        ({"database": OK, "backends/a": FAILED, "backends/b": OK}, DEGRADED),
        ({"database": OK, "backends/a": FAILED, "backends/b": FAILED}, FAILED),
        ({"database": OK, "backends/a": OK, "workers/x": DEGRADED}, DEGRADED),
        ({"database": OK, "backends/a": OK, "dataplane": FAILED}, FAILED),
    ],
)
def test_the_whole_is_as_well_as_its_clients_are_served(
    statuses: dict[str, Status], expected: Status
) -> None:
    checks = [HealthCheck(name=name, status=status) for name, status in statuses.items()]

    assert worst(checks) == expected


def test_pieces_that_are_bad_or_gone_degrade_the_deployment_and_are_counted() -> None:
    assert check_integrity(suspect_count=0, lost_count=0).status == OK

    told = check_integrity(suspect_count=3, lost_count=1)

    assert (told.name, told.status) == ("integrity", DEGRADED)
    assert told.message.startswith("3 pieces are bad and 1 are not there")
