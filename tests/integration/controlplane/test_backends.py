"""Operators empty backends, take them back and remove them; what would harm objects is refused, by name and reason."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from penstock.admin.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    operation_pb2,
    operation_service_pb2,
    watch_pb2,
)

from engine.metadata import backends
from engine.metadata.moves import list_movable
from engine.names import bucket_name, object_key
from engine.objects.read import Span
from engine.records import BackendState
from tests.integration.controlplane.clients import Client
from tests.support.bodies import regions_of
from tests.support.control import RunningPlane, failure, put_object, wait_until, write_config
from tests.support.pieces import payload_of
from tests.support.postgres import shared_server, with_database
from tests.support.s3_stores import RcloneStore

ACTIVE, READ_ONLY = backend_pb2.BACKEND_STATE_ACTIVE, backend_pb2.BACKEND_STATE_READ_ONLY
DRAINING, DRAINED = backend_pb2.BACKEND_STATE_DRAINING, backend_pb2.BACKEND_STATE_DRAINED
REMOVED = backend_pb2.BACKEND_STATE_REMOVED
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION

MakePlane = Callable[..., tuple[RunningPlane, Client]]


@pytest.fixture(params=["sqlite", "postgres"])
def make_plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakePlane]:
    """A control plane over volumes on one disk, whose bytes may go at once; a further call starts it again."""
    database = shared_server().lend_database() if request.param == "postgres" else None
    with ExitStack() as stack:

        def make(*, volume_count: int = 3, edit: Callable[[str], str] = lambda text: text) -> Any:
            stack.close()
            extra = "storage: {read_grace: 0s}\ndebug: {allowed: true}"
            config = write_config(tmp_path, extra=extra, volume_count=volume_count)
            text = edit(config.read_text())
            if database is not None:
                sectioned = text.replace("database: {path: metadata.sqlite}", "database:\n  path: x\n")
                text = with_database(sectioned, shared_server(), database)
            config.write_text(text)
            plane = stack.enter_context(RunningPlane(config))
            channel = stack.enter_context(plane.channel(socket="admin"))
            return plane, Client(channel)

        yield make
    if database is not None:
        shared_server().take_back_database(database)


def get(client: Client, name: str) -> backend_pb2.Backend:
    backend: backend_pb2.Backend = client(
        "backend", backend_service_pb2.GetBackendRequest(name=f"backends/{name}")
    ).backend
    return backend


def drain(client: Client, name: str, **fields: Any) -> Any:
    return client("backend", backend_service_pb2.DrainBackendRequest(name=f"backends/{name}", **fields))


def undrain(client: Client, name: str) -> Any:
    return client("backend", backend_service_pb2.UndrainBackendRequest(name=f"backends/{name}")).backend


def remove(client: Client, name: str, **fields: Any) -> Any:
    request = backend_service_pb2.RemoveBackendRequest(name=f"backends/{name}", **fields)
    return client("backend", request)


def ended(client: Client, operation: operation_pb2.Operation) -> operation_pb2.Operation:
    request = operation_service_pb2.GetOperationRequest(name=operation.name)
    wait_until(lambda: bool(client("operation", request).operation.done), "the end of the operation")
    now: operation_pb2.Operation = client("operation", request).operation
    return now


def succeeded(client: Client, operation: operation_pb2.Operation) -> operation_pb2.Operation:
    now = ended(client, operation)
    assert now.state == operation_pb2.OPERATION_STATE_SUCCEEDED, now.error_message
    return now


def fill(plane: RunningPlane, count: int = 30) -> dict[str, bytes]:
    contents = {f"key-{number}": payload_of(5000 + number, seed=number) for number in range(count)}
    for key, payload in contents.items():
        put_object(plane.opened, "photos", key, payload)
    return contents


def read_all(plane: RunningPlane, keys: dict[str, bytes]) -> dict[str, bytes]:
    found = {}
    for key in keys:
        stored = plane.opened.use.reader.find(bucket_name("photos"), object_key(key.encode()))
        span = Span(start=0, stop=stored.version.size_bytes)
        found[key] = b"".join(regions_of(plane.opened.use.reader.open(stored, span)))
    return found


def piece_count(plane: RunningPlane, name: str) -> int:
    row = next(each for each in plane.opened.store.read(backends.list_backends) if each.name == name)
    unit = partial(list_movable, backend_id=row.backend_id, after="", count_max=1000)
    return len(plane.opened.store.read(unit))


def folder_of(plane: RunningPlane, name: str) -> Path:
    return plane.config.parent / "volumes" / name


# --- drains ---


def test_a_drain_is_planned_followed_and_ends_with_nothing_left(make_plane: MakePlane) -> None:
    plane, client = make_plane()
    contents = fill(plane)
    count = piece_count(plane, "v1")

    plan = drain(client, "v1", dry_run=True).plan
    operation = succeeded(client, drain(client, "v1").operation)

    assert count > 0
    assert (plan.piece_count, plan.estimated, list(plan.shortfalls)) == (count, False, [])
    assert {each.backend for each in plan.destinations} <= {"backends/v2", "backends/v3"}
    assert sum(each.piece_count for each in plan.destinations) == count
    assert operation.progress.done_count == count
    assert dict(operation.result)["moved_count"] == count
    assert piece_count(plane, "v1") == 0
    assert read_all(plane, contents) == contents
    backend = get(client, "v1")
    assert (backend.state, backend.operation) == (DRAINED, operation.name)
    assert backend.state_time.seconds > 1_700_000_000


def test_a_plan_changes_nothing_and_tells_what_stands_against_it(make_plane: MakePlane) -> None:
    _, client = make_plane(volume_count=1)

    plan = drain(client, "v1", dry_run=True).plan
    failed = failure(lambda: drain(client, "v1"))

    assert list(plan.shortfalls) == ["no other active backend is left"]
    assert (failed.code, failed.reason) == (PRECONDITION, "REDUNDANCY_AT_RISK")
    assert "no other active backend is left" in failed.text
    assert get(client, "v1").state == ACTIVE


def test_the_last_of_several_is_not_drained_either(make_plane: MakePlane) -> None:
    _, client = make_plane(volume_count=2)
    succeeded(client, drain(client, "v1").operation)

    failed = failure(lambda: drain(client, "v2"))

    assert (failed.code, failed.reason) == (PRECONDITION, "REDUNDANCY_AT_RISK")


def test_a_second_call_answers_the_drain_that_runs(make_plane: MakePlane) -> None:
    plane, client = make_plane()
    fill(plane)

    one = drain(client, "v1", max_bytes_per_second=1).operation
    other = drain(client, "v1").operation

    assert other.name == one.name
    assert get(client, "v1").state == DRAINING
    client("operation", operation_service_pb2.CancelOperationRequest(name=one.name))
    assert ended(client, one).state == operation_pb2.OPERATION_STATE_CANCELLED


def test_a_cancelled_drain_leaves_the_backend_active_and_the_next_one_ends_it(make_plane: MakePlane) -> None:
    plane, client = make_plane()
    contents = fill(plane)
    begun = drain(client, "v1", max_bytes_per_second=10_000).operation

    client("operation", operation_service_pb2.CancelOperationRequest(name=begun.name))
    cancelled = ended(client, begun)
    between = get(client, "v1")
    succeeded(client, drain(client, "v1").operation)

    assert cancelled.state == operation_pb2.OPERATION_STATE_CANCELLED
    assert (between.state, between.state_reason) == (ACTIVE, "its drain was cancelled")
    assert read_all(plane, contents) == contents


def test_undraining_cancels_the_drain_at_once(make_plane: MakePlane) -> None:
    plane, client = make_plane()
    fill(plane)
    begun = drain(client, "v1", max_bytes_per_second=1).operation

    backend = undrain(client, "v1")

    assert backend.state == ACTIVE
    assert ended(client, begun).state in (
        operation_pb2.OPERATION_STATE_CANCELLED,
        operation_pb2.OPERATION_STATE_FAILED,
    )
    assert get(client, "v1").state == ACTIVE


def test_a_drained_backend_is_taken_back_into_use(make_plane: MakePlane) -> None:
    plane, client = make_plane(volume_count=2)
    succeeded(client, drain(client, "v1").operation)
    again = failure(lambda: drain(client, "v1"))

    backend = undrain(client, "v1")
    wait_until(lambda: bool(fill(plane, 10)) and piece_count(plane, "v1") > 0, "pieces on the backend in use")

    assert (again.code, again.reason) == (PRECONDITION, "BACKEND_STATE")
    assert backend.state == ACTIVE


@pytest.mark.parametrize("rate", [-1, 1 << 61])
def test_a_rate_out_of_bounds_is_refused_by_field(make_plane: MakePlane, rate: int) -> None:
    _, client = make_plane()

    failed = failure(lambda: drain(client, "v1", max_bytes_per_second=rate))

    assert list(failed.fields) == ["max_bytes_per_second"]


@pytest.mark.parametrize("call", [drain, undrain, remove])
def test_a_backend_that_is_not_there_is_not_found(make_plane: MakePlane, call: Callable[..., Any]) -> None:
    _, client = make_plane()
    fields = {"confirm_name": "nowhere"} if call is remove else {}

    failed = failure(lambda: call(client, "nowhere", **fields))

    assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_RESOURCE")


# --- read-only ---


def update(client: Client, read_only: bool, *, mask: str = "read_only", **fields: Any) -> Any:
    request = backend_service_pb2.UpdateBackendRequest(
        backend=backend_pb2.Backend(name="backends/v1", read_only=read_only), **fields
    )
    request.update_mask.paths.append(mask)
    return client("backend", request).backend


def test_a_read_only_backend_takes_nothing_until_it_is_one_no_more(make_plane: MakePlane) -> None:
    plane, client = make_plane(volume_count=2)

    checked = update(client, True, validate_only=True)
    changed = update(client, True)
    fill(plane, 10)
    taken_count = piece_count(plane, "v1")
    back = update(client, False)

    assert (checked.state, changed.state, back.state) == (ACTIVE, READ_ONLY, ACTIVE)
    assert (changed.read_only, back.read_only) == (True, False)
    assert taken_count == 0


def test_only_what_may_be_changed_is(make_plane: MakePlane) -> None:
    _, client = make_plane(volume_count=2)
    succeeded(client, drain(client, "v1").operation)

    unknown = failure(lambda: update(client, True, mask="kind"))
    drained = failure(lambda: update(client, True))
    update_other = failure(lambda: undrain(client, "v9"))

    assert list(unknown.fields) == ["update_mask"]
    assert (drained.code, drained.reason) == (PRECONDITION, "BACKEND_STATE")
    assert update_other.code is grpc.StatusCode.NOT_FOUND


def test_a_read_only_backend_is_not_undrained_but_may_be_drained(make_plane: MakePlane) -> None:
    _, client = make_plane(volume_count=2)
    update(client, True)

    failed = failure(lambda: undrain(client, "v1"))
    succeeded(client, drain(client, "v1").operation)

    assert (failed.code, failed.reason) == (PRECONDITION, "BACKEND_STATE")
    assert get(client, "v1").state == DRAINED


# --- removal ---


def test_only_a_drained_backend_is_removed_and_only_by_its_name(make_plane: MakePlane) -> None:
    plane, client = make_plane()
    fill(plane)

    plan = remove(client, "v1", dry_run=True).plan
    active = failure(lambda: remove(client, "v1", confirm_name="v1"))
    unconfirmed = failure(lambda: remove(client, "v1", confirm_name="v2", purge_data=True))

    assert list(plan.obstacles) == ["it is active: drain it first"]
    assert plan.file_count == 1
    assert (active.code, active.reason) == (PRECONDITION, "BACKEND_STATE")
    assert (unconfirmed.code, list(unconfirmed.fields)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ["confirm_name"],
    )


def test_a_purged_backend_leaves_what_is_not_ours(make_plane: MakePlane) -> None:
    plane, client = make_plane()
    contents = fill(plane)
    succeeded(client, drain(client, "v1").operation)
    folder = folder_of(plane, "v1")
    (folder / "notes.txt").write_text("somebody's")
    foreign_volume = folder / f"{'ab' * 16}.volume"
    foreign_volume.write_bytes(bytes(9000))

    plan = remove(client, "v1", dry_run=True).plan
    operation = succeeded(client, remove(client, "v1", confirm_name="v1", purge_data=True).operation)

    assert (list(plan.foreign_names), list(plan.obstacles)) == (["notes.txt"], [])
    assert sorted(each.name for each in folder.iterdir()) == [foreign_volume.name, "notes.txt"]
    assert any("notes.txt is not ours" in each for each in operation.warnings)
    assert any(foreign_volume.name in each for each in operation.warnings)
    # The sweep of a process that closes its files may have been there first.
    assert dict(operation.result)["deleted_count"] in (0, 1)
    backend = get(client, "v1")
    assert (backend.state, "take it out of the configuration" in backend.notice) == (REMOVED, True)
    assert read_all(plane, contents) == contents
    assert failure(lambda: undrain(client, "v1")).code is grpc.StatusCode.NOT_FOUND


def test_without_a_purge_all_bytes_stay(make_plane: MakePlane) -> None:
    plane, client = make_plane()
    fill(plane)
    succeeded(client, drain(client, "v1").operation)
    before = sorted(each.name for each in folder_of(plane, "v1").iterdir())

    succeeded(client, remove(client, "v1", confirm_name="v1").operation)

    assert sorted(each.name for each in folder_of(plane, "v1").iterdir()) == before
    assert len(before) == 2
    rows = plane.opened.store.read(lambda tx: [each.state for each in backends.list_backends(tx)])
    assert rows.count(BackendState.REMOVED) == 1


def test_the_name_of_a_removed_backend_stands_for_a_new_one_once_the_file_was_without_it(
    make_plane: MakePlane,
) -> None:
    plane, client = make_plane()
    contents = fill(plane)
    succeeded(client, drain(client, "v1").operation)
    succeeded(client, remove(client, "v1", confirm_name="v1", purge_data=True).operation)

    def without(text: str) -> str:
        return re.sub(r"(?m)^  - \{name: v1,.*\n", "", text)

    def reload(plane: RunningPlane) -> None:
        """As `penstock serve --reload` does before it serves."""
        from engine.deployment.opening import take_file_over

        take_file_over(plane.config, {})

    plane, client = make_plane(edit=lambda text: text + "\nregion: eu-1\n")
    reload(plane)
    still_named = get(client, "v1")
    make_plane(edit=without)
    reload(plane)
    plane, client = make_plane(edit=without)
    gone = failure(lambda: get(client, "v1"))
    make_plane(edit=lambda text: text + "\nregion: eu-2\n")
    reload(plane)
    plane, client = make_plane(edit=lambda text: text + "\nregion: eu-2\n")

    assert still_named.state == REMOVED
    assert gone.code is grpc.StatusCode.NOT_FOUND
    assert get(client, "v1").state == ACTIVE
    assert (folder_of(plane, "v1") / "penstock-backend.json").exists()
    assert read_all(plane, contents) == contents


def test_while_it_is_removed_a_backend_is_neither_drained_nor_taken_back(
    make_plane: MakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane, client = make_plane()
    succeeded(client, drain(client, "v1").operation)
    plane.opened.store.write(_wait_for_readers)
    begun = remove(client, "v1", confirm_name="v1", purge_data=True).operation

    taken_back = failure(lambda: undrain(client, "v1"))
    drained = failure(lambda: drain(client, "v1"))
    again = remove(client, "v1", confirm_name="v1", purge_data=True).operation
    client("operation", operation_service_pb2.CancelOperationRequest(name=begun.name))

    assert {(each.code, each.reason) for each in (taken_back, drained)} == {(PRECONDITION, "BACKEND_STATE")}
    assert again.name == begun.name
    assert ended(client, begun).state == operation_pb2.OPERATION_STATE_CANCELLED
    assert get(client, "v1").state_reason == "its removal was cancelled"
    assert undrain(client, "v1").state == ACTIVE


def _wait_for_readers(tx: Any) -> None:
    """Something there is still read for an hour."""
    from engine.metadata import cleanup

    row = next(each for each in backends.list_backends(tx) if each.name == "v1")
    cleanup.enqueue(
        tx,
        backend_id=row.backend_id,
        storage_key=f"{'0' * 31}1:0000002000",
        size_bytes=0,
        reason="test",
        not_before_us=tx.now_us() + 3_600_000_000,
    )


# --- probes, lists, watches ---


def probe(client: Client, name: str, **fields: Any) -> list[Any]:
    request = backend_service_pb2.ProbeBackendRequest(name=f"backends/{name}", **fields)
    return list(client("backend", request).steps)


def test_a_probe_tells_every_step(make_plane: MakePlane) -> None:
    plane, client = make_plane()

    looked, tried = probe(client, "v1"), probe(client, "v1", put_get_delete=True)
    (folder_of(plane, "v1") / "penstock-backend.json").unlink()
    missing = probe(client, "v1", put_get_delete=True)

    assert [each.name for each in looked] == ["identity"]
    assert [(each.name, each.error) for each in tried] == [
        (name, "") for name in ("identity", "put", "sync", "get", "delete")
    ]
    assert all(each.latency.ToNanoseconds() > 0 for each in tried)
    assert [each.name for each in missing] == ["identity"]
    assert "is missing" in missing[0].error


def test_a_probe_of_an_s3_store_leaves_nothing_there(make_plane: MakePlane, tmp_path: Path) -> None:
    with RcloneStore(tmp_path / "rclone") as store:
        place = store.place
        far = (
            f"  - {{name: far, kind: s3, endpoint: '{place.endpoint}', bucket: {place.bucket}, prefix: main, "
            f"access_key_id: {place.access_key_id}, secret_access_key: '{place.secret_access_key}'}}\n"
        )
        _, client = make_plane(edit=lambda text: text.replace("backends:\n", f"backends:\n{far}"))

        tried = probe(client, "far", put_get_delete=True)

        left = [each.name for each in (store.folder / "data" / place.bucket).rglob("*") if each.is_file()]

    assert [(each.name, each.error) for each in tried] == [
        (name, "") for name in ("identity", "put", "sync", "get", "delete")
    ]
    assert left == ["penstock-backend.json"]


def test_backends_are_listed_by_state(make_plane: MakePlane) -> None:
    _, client = make_plane()
    succeeded(client, drain(client, "v2").operation)

    def names(text: str) -> list[str]:
        request = backend_service_pb2.ListBackendsRequest(filter=text)
        return [each.name for each in client("backend", request).backends]

    malformed = [failure(partial(names, text)) for text in ("state=ODD", "name=v1", "state")]

    assert names("state=DRAINED") == ["backends/v2"]
    assert names("state = active") == ["backends/v1", "backends/v3"]
    assert names("") == ["backends/v1", "backends/v2", "backends/v3"]
    assert {tuple(each.fields) for each in malformed} == {("filter",)}


def test_a_watch_begins_with_all_and_tells_each_change(make_plane: MakePlane) -> None:
    plane, client = make_plane(volume_count=2)
    with plane.channel(socket="viewer") as channel:
        stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        watching: Any = stub.WatchBackends(backend_service_pb2.WatchBackendsRequest(), timeout=20)

        first = next(watching)
        update(client, True)
        second = next(watching)
        watching.cancel()

    assert (first.kind, len(first.backends)) == (watch_pb2.WATCH_KIND_SNAPSHOT, 2)
    assert second.kind == watch_pb2.WATCH_KIND_CHANGE
    assert [each.state for each in second.backends] == [READ_ONLY, ACTIVE]


def test_a_backend_tells_of_its_disk_and_of_those_who_see_it(make_plane: MakePlane) -> None:
    _, client = make_plane()

    wait_until(lambda: bool(get(client, "v1").views), "a look at the backend")

    backend = get(client, "v1")
    assert backend.capacity.disk_free_bytes > 0
    assert backend.views[0].instance.startswith("instances/")
    assert backend.last_probe_time == backend.views[0].seen_time
