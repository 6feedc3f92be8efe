"""Sockets stand for roles and are their owner's alone; health and reflection answer; a stop lets calls end."""

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from penstock.admin.v1 import (
    backend_service_pb2,
    backend_service_pb2_grpc,
    operation_pb2,
    system_service_pb2,
    system_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)

from controlplane.methods import SERVICES
from controlplane.place import sole_control_plane
from engine.deployment.opening import OpenDeployment, open_deployment
from engine.errors import StartRefused
from engine.metadata import leases
from engine.metadata.store import Store
from engine.records import Lease
from tests.support.control import VERSION, RunningPlane, as_folder, bearer, failure, wait_until, write_config

WORKERS = (
    "canary",
    "cleanup",
    "compaction",
    "intents",
    "multipart",
    "notifier",
    "reaper",
    "replicator",
    "scrubber",
    "trimmer",
    "usage",
)
WORKERS_OFF = "workers: {" + ", ".join(f"{name}: {{enabled: false}}" for name in WORKERS) + "}"


def get_version(channel: grpc.Channel, **options: object) -> system_service_pb2.GetVersionResponse:
    stub = system_service_pb2_grpc.SystemServiceStub(channel)
    return stub.GetVersion(system_service_pb2.GetVersionRequest(), timeout=10, **options)  # type: ignore[arg-type]


def trigger(channel: grpc.Channel, *, wait: bool = False) -> worker_service_pb2.TriggerWorkerResponse:
    stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
    request = worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup", wait=wait)
    return stub.TriggerWorker(request, timeout=20)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_sockets_and_their_folder_are_their_owners_alone(shared_plane: RunningPlane) -> None:
    folder = shared_plane.state_dir

    assert mode_of(folder) == 0o700
    for name in ("admin.sock", "viewer.sock"):
        assert stat.S_ISSOCK((folder / name).stat().st_mode)
        assert mode_of(folder / name) == 0o600


def test_the_admin_socket_is_an_admin_without_token(shared_plane: RunningPlane) -> None:
    with shared_plane.channel(socket="admin") as channel:
        answer = trigger(channel, wait=True)

    assert answer.operation.state == operation_pb2.OPERATION_STATE_SUCCEEDED


def test_the_viewer_socket_only_looks(shared_plane: RunningPlane) -> None:
    with shared_plane.channel(socket="viewer") as channel:
        assert get_version(channel).version
        failed = failure(lambda: trigger(channel))

    assert (failed.code, failed.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE")
    assert "operator" in failed.text


def test_a_token_does_not_raise_the_viewer_socket(shared_plane: RunningPlane) -> None:
    with shared_plane.channel(socket="viewer") as channel:
        stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
        request = worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup")
        failed = failure(lambda: stub.TriggerWorker(request, timeout=10, metadata=bearer("admin")))

    assert failed.code is grpc.StatusCode.PERMISSION_DENIED


def test_reflection_names_every_service_on_a_socket(shared_plane: RunningPlane) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    with shared_plane.channel(socket="viewer") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=10)

    named = {service.name for service in answer.list_services_response.service}
    assert {service.full_name for service in SERVICES} < named


def test_sockets_stand_under_a_path_longer_than_a_sockets_name(tmp_path: Path) -> None:
    with (
        RunningPlane(write_config(tmp_path / ("long" * 40))) as plane,
        as_folder(plane.state_dir) as folder,
        grpc.insecure_channel(f"unix:{folder}/admin.sock") as channel,
    ):
        assert len(os.fsencode(plane.state_dir / "admin.sock")) > 107
        assert get_version(channel).version


def test_sockets_left_behind_by_a_killed_plane_are_replaced(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left, as_folder(tmp_path / "state") as folder:
        left.bind(f"{folder}/admin.sock")

    with RunningPlane(config) as plane, plane.channel(socket="admin") as channel:
        assert get_version(channel).version


def test_no_token_means_no_tcp_and_sockets_all_the_same(tmp_path: Path) -> None:
    with RunningPlane(write_config(tmp_path, tokens=False)) as plane:
        assert plane.plane.tcp_port is None
        with plane.channel(socket="admin") as channel:
            assert get_version(channel).version


def test_a_taken_port_refuses_the_start_and_says_which(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        config = write_config(tmp_path)
        config.write_text(
            config.read_text().replace('control: "127.0.0.1:0"', f'control: "127.0.0.1:{port}"')
        )
        plane = RunningPlane(config)

        with pytest.raises(StartRefused, match=str(port)), plane:
            pass
        plane.stop()


def test_a_second_control_plane_over_one_state_folder_is_refused(tmp_path: Path) -> None:
    with (
        sole_control_plane(tmp_path, wait_s=0.0),
        pytest.raises(StartRefused, match="another control plane"),
        sole_control_plane(tmp_path, wait_s=0.1),
    ):
        pass

    with sole_control_plane(tmp_path, wait_s=0.0):
        pass


def test_a_plane_that_ends_in_time_makes_room_for_the_next(tmp_path: Path) -> None:
    ending = threading.Event()
    has_place = threading.Event()

    def first() -> None:
        with sole_control_plane(tmp_path, wait_s=0.0):
            has_place.set()
            ending.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    has_place.wait(10)
    threading.Timer(0.1, ending.set).start()

    with sole_control_plane(tmp_path, wait_s=10.0):
        assert ending.is_set()
    thread.join(10)


def test_health_turns_before_the_listeners_close(tmp_path: Path) -> None:
    with RunningPlane(write_config(tmp_path)) as plane, plane.channel(socket="viewer") as channel:
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
        first = next(watching).status

        stopped = plane.stop_serving()
        second = next(watching).status
        ended = failure(lambda: next(watching))

        assert (first, second) == (
            health_pb2.HealthCheckResponse.SERVING,
            health_pb2.HealthCheckResponse.NOT_SERVING,
        )
        assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert stopped.result(20) is True


class Slow:
    """A store whose reads can be held up; implements `engine.metadata.store.Store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_held = False
        self.has_arrived = threading.Event()
        self.may_go = threading.Event()

    @property
    def waits_for_network(self) -> bool:
        return self._store.waits_for_network

    def read(self, unit, /):  # type: ignore[no-untyped-def]
        if self.is_held:
            self.has_arrived.set()
            self.may_go.wait(10)
        return self._store.read(unit)

    def look(self, statement, params, /):  # type: ignore[no-untyped-def]
        return self._store.look(statement, params)

    def write(self, unit, /, **options):  # type: ignore[no-untyped-def]
        return self._store.write(unit, **options)

    def close(self) -> None:
        self._store.close()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[RunningPlane, Slow]]:
    """A plane whose workers rest."""
    made: list[Slow] = []

    def wrap(store: Store) -> Store:
        made.append(Slow(store))
        return made[0]

    with RunningPlane(write_config(tmp_path, extra=WORKERS_OFF), wrap_store=wrap) as plane:
        yield plane, made[0]


def test_a_stop_waits_for_a_call_under_way(slow: tuple[RunningPlane, Slow]) -> None:
    plane, store = slow
    with plane.channel(socket="admin") as channel:
        stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        store.is_held = True
        asked = stub.ListBackends.future(backend_service_pb2.ListBackendsRequest(), timeout=20)
        store.has_arrived.wait(10)

        stopped = plane.stop_serving()
        store.may_go.set()

        assert len(asked.result(20).backends) == 2
        assert stopped.result(20) is True


def test_a_call_takes_no_longer_than_its_deadline(slow: tuple[RunningPlane, Slow]) -> None:
    plane, store = slow
    with plane.channel(socket="admin") as channel:
        stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        store.is_held = True

        failed = failure(lambda: stub.ListBackends(backend_service_pb2.ListBackendsRequest(), timeout=0.2))
        store.may_go.set()

        assert failed.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_call_that_waits_for_a_run_ends_when_the_server_stops(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    other = open_deployment(config, {}, plane="controlplane", version=VERSION)
    with RunningPlane(config) as plane, plane.channel(socket="admin") as channel:
        # Somebody else leads, so the run asked for does not begin.
        wait_until(lambda: lease(other, "multipart") is not None, "the lease")
        stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
        request = worker_service_pb2.TriggerWorkerRequest(name="workers/multipart", wait=True)
        waiting = stub.TriggerWorker.future(request, timeout=20)
        wait_until(lambda: is_triggered(channel), "the trigger")

        stopped = plane.stop_serving()
        failed = failure(lambda: waiting.result(20))

        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert stopped.result(20) is True
    other.close()


def lease(opened: OpenDeployment, worker: str) -> Lease | None:
    return opened.store.write(
        lambda tx: leases.acquire(tx, worker=worker, holder=opened.process_id, ttl_s=600)
    )


def is_triggered(channel: grpc.Channel) -> bool:
    stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
    request = worker_service_pb2.GetWorkerRequest(name="workers/multipart")
    return bool(stub.GetWorker(request, timeout=10).worker.triggered)
