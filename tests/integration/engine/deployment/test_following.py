"""A process takes another generation while it serves, whole or not at all, and what it cannot take it tells of."""

import gc
import weakref
from functools import partial
from pathlib import Path

import pytest

from engine.deployment.following import RETRY_S, Commit
from engine.deployment.opening import OpenDeployment, take_file_over
from engine.deployment.snapshots import Snapshot
from engine.errors import BackendUnavailable, DatabaseUnavailable, StartRefused
from engine.metadata.backends import list_backends, mark_registered
from engine.metadata.processes import HEARTBEAT_S, ProcessRow, find_instance
from engine.metadata.wishes import ask_to_look
from engine.names import BackendName, BucketName, ObjectKey
from engine.objects.read import Span
from engine.objects.write import PutOrder
from engine.records import Copies, ObjectHeaders
from tests.integration.engine.deployment.conftest import CONFIG, ENVIRON, AheadClock, Open, Site
from tests.support.bodies import BytesBody, regions_of

V2 = next(line for line in CONFIG.splitlines() if "name: v2" in line) + "\n"
V3 = V2.replace("v2", "v3")


def row_of(deployment: OpenDeployment) -> ProcessRow:
    found = deployment.store.read(lambda tx: find_instance(tx, deployment.instance_id))
    assert found is not None
    return next(each for each in found.processes if each.process_id == deployment.process_id)


def go_on(deployment: OpenDeployment, clock: AheadClock, seconds: float = HEARTBEAT_S) -> None:
    clock.move(seconds)
    deployment.tick()


def put(deployment: OpenDeployment, key: bytes, data: bytes = b"x" * 1000) -> None:
    alice = deployment.find_identity("AKIAALICE")
    assert alice is not None
    order = PutOrder(
        bucket=BucketName("abc"), key=ObjectKey(key), account_id=alice.account_id, headers=ObjectHeaders()
    )
    deployment.use.writer.put(order, BytesBody(data))


def get(deployment: OpenDeployment, key: bytes) -> bytes:
    stored = deployment.use.reader.find(BucketName("abc"), ObjectKey(key))
    return b"".join(
        regions_of(deployment.use.reader.open(stored, Span(start=0, stop=stored.version.size_bytes)))
    )


def names(deployment: OpenDeployment) -> list[str]:
    return [str(each.name) for each in deployment.backends]


def places_of(deployment: OpenDeployment, key: bytes) -> set[str]:
    stored = deployment.use.reader.find(BucketName("abc"), ObjectKey(key))
    by_id = {each.backend_id: str(each.name) for each in deployment.backends}
    return {by_id[location.backend_id] for each in stored.slices for location in each.locations}


def test_a_process_takes_a_generation_that_somebody_else_made(any_site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    before = deployment.backends.find(BackendName("v1"))
    any_site.edit(V2, V2 + V3)
    any_site.edit("quota_bytes: 1MiB}", "quota_bytes: 1MiB}\nregion: eu-test-1")
    any_site.edit("backends:\n", "storage: {inline_buffer_bytes: 4KiB}\nbackends:\n")

    take_file_over(any_site.config, ENVIRON)
    go_on(deployment, clock)

    assert (deployment.generation, deployment.settings.live.region) == (2, "eu-test-1")
    assert names(deployment) == ["v1", "v2", "v3"]
    assert deployment.backends.find(BackendName("v1")) is before
    row = row_of(deployment)
    assert (row.generation, row.refused_generation, row.last_error) == (2, None, None)
    assert (any_site.volume("v3") / "penstock-backend.json").exists()
    for number in range(9):
        put(deployment, b"%d" % number)
    assert {name for number in range(9) for name in places_of(deployment, b"%d" % number)} == {
        "v1",
        "v2",
        "v3",
    }


def test_routing_by_weight_and_by_cost_goes_by_the_generation(any_site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    any_site.edit("name: v1, kind: volume,", "name: v1, kind: volume, weight: 0, cost: {per_gib: 0.01},")
    any_site.edit("name: v2, kind: volume,", "name: v2, kind: volume, weight: 2.5, cost: {per_gib: 0.02},")
    any_site.edit("backends:\n", "routing: weighted\nbackends:\n")
    take_file_over(any_site.config, ENVIRON)
    go_on(deployment, clock)
    for number in range(6):
        put(deployment, b"w%d" % number)

    any_site.edit("routing: weighted", "routing: cost")
    take_file_over(any_site.config, ENVIRON)
    go_on(deployment, clock)
    for number in range(6):
        put(deployment, b"c%d" % number)

    assert {name for number in range(6) for name in places_of(deployment, b"w%d" % number)} == {"v2"}
    assert {name for number in range(6) for name in places_of(deployment, b"c%d" % number)} == {"v1"}


def test_requests_end_on_what_they_began_with_and_then_what_left_is_closed(
    site: Site, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    clock = AheadClock()
    deployment = opened(clock=clock)
    use = deployment.use
    left = deployment.backends.find(BackendName("v2"))
    assert left is not None
    site.edit(V2, "")
    take_file_over(site.config, ENVIRON)

    go_on(deployment, clock)
    go_on(deployment, clock)

    def closed() -> list[str]:
        return [each.__dict__["backend"] for each in caplog.records if each.message == "backend.closed"]

    assert names(deployment) == ["v1"]
    assert closed() == []
    del use
    go_on(deployment, clock)
    assert closed() == ["v2"]
    with pytest.raises(BackendUnavailable, match="closed"):
        left.open_writer(1000, 100)


def test_an_access_key_that_was_taken_out_ends_with_the_generation(any_site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    assert deployment.find_identity("AKIABOB") is not None
    any_site.edit(next(line for line in CONFIG.splitlines() if "name: bob" in line) + "\n", "")
    take_file_over(any_site.config, ENVIRON)

    go_on(deployment, clock)

    assert deployment.find_identity("AKIABOB") is None


def test_nothing_of_a_snapshot_stays_once_another_is_in_force(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    put(deployment, b"k")
    gc.disable()
    try:
        use = weakref.ref(deployment.use.reader)
        backends = weakref.ref(deployment.backends)
        site.edit("backends:\n", "region: eu-test-1\nbackends:\n")
        take_file_over(site.config, ENVIRON)
        go_on(deployment, clock)

        assert (use(), backends()) == (None, None)
    finally:
        gc.enable()
    assert get(deployment, b"k") == b"x" * 1000


def test_a_reference_without_value_leaves_everything_as_it_was_and_is_told(
    any_site: Site, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    put(deployment, b"k")
    any_site.edit(V2, V2 + V3)
    any_site.edit("backends:\n", 'region: "${file:region}"\nbackends:\n')
    (any_site.folder / "region").write_text("eu-test-1")
    take_file_over(any_site.config, ENVIRON)
    (any_site.folder / "region").unlink()

    go_on(deployment, clock)

    assert (deployment.generation, names(deployment)) == (1, ["v1", "v2"])
    assert get(deployment, b"k") == b"x" * 1000
    row = row_of(deployment)
    assert (row.generation, row.refused_generation) == (1, 2)
    assert "region" in (row.refusal or "")
    assert "runs generation 1 and cannot take 2: " in (row.last_error or "")
    go_on(deployment, clock)
    (told,) = [each for each in caplog.records if each.message == "process.generation_refused"]
    assert (told.__dict__["generation"], told.__dict__["runs"]) == (2, 1)

    (any_site.folder / "region").write_text("eu-test-1")
    go_on(deployment, clock, RETRY_S)

    assert (deployment.generation, names(deployment)) == (2, ["v1", "v2", "v3"])
    assert row_of(deployment).refused_generation is None
    assert "generation" not in (row_of(deployment).last_error or "")


def test_a_new_backend_in_a_foreign_folder_is_not_taken(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    site.edit(V2, V2 + V3)
    take_file_over(site.config, ENVIRON)
    site.volume("v3").mkdir()
    (site.volume("v3") / "holiday.jpg").touch()

    go_on(deployment, clock)

    assert names(deployment) == ["v1", "v2"]
    assert "'v3' cannot be registered" in (row_of(deployment).refusal or "")
    assert [path.name for path in site.volume("v3").iterdir()] == ["holiday.jpg"]


def test_a_new_backend_that_was_another_when_it_was_registered_is_not_taken(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    site.edit(V2, V2 + V3)
    take_file_over(site.config, ENVIRON)
    v3 = next(row for row in deployment.store.read(list_backends) if row.name == "v3")
    deployment.store.write(lambda tx: mark_registered(tx, v3.backend_id))

    go_on(deployment, clock)

    assert names(deployment) == ["v1", "v2"]
    assert "missing: is the disk mounted?" in (row_of(deployment).refusal or "")


def test_a_part_that_cannot_make_ready_keeps_all_others_from_going_on(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    seen: list[int] = []

    def refuse(snapshot: Snapshot) -> object:
        raise StartRefused("no room for it")

    deployment.follow(lambda snapshot: lambda: seen.append(snapshot.generation))
    deployment.follow(refuse)  # type: ignore[arg-type]
    site.edit("backends:\n", "region: eu-test-1\nbackends:\n")
    take_file_over(site.config, ENVIRON)

    go_on(deployment, clock)

    assert (deployment.generation, seen) == (1, [])
    assert row_of(deployment).refusal == "no room for it"


def test_what_nobody_thought_of_is_told_like_any_refusal(
    site: Site, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    nothing: dict[str, Commit] = {}
    deployment.follow(lambda snapshot: nothing["nothing"])
    site.edit("backends:\n", "region: eu-test-1\nbackends:\n")
    take_file_over(site.config, ENVIRON)

    for _ in range(3):
        go_on(deployment, clock, RETRY_S)

    assert row_of(deployment).refusal == "KeyError: 'nothing'"
    assert [each.message for each in caplog.records].count("process.generation_broken") == 1


def test_a_failed_volume_that_is_back_serves_with_the_next_generation(site: Site, opened: Open) -> None:
    clock = AheadClock()
    away = Path(f"{site.volume('v2')}-away")
    opened().close()
    site.volume("v2").rename(away)
    site.volume("v2").mkdir()
    deployment = opened(clock=clock)
    v2 = deployment.backends.find(BackendName("v2"))
    assert v2 is not None
    assert deployment.health.problem_of(v2.backend_id) is not None
    site.volume("v2").rmdir()
    away.rename(site.volume("v2"))
    site.edit("backends:\n", "region: eu-test-1\nbackends:\n")
    take_file_over(site.config, ENVIRON)

    go_on(deployment, clock)

    assert deployment.health.problem_of(v2.backend_id) is None
    assert deployment.backends.find(BackendName("v2")) is not v2


def test_a_failed_volume_that_is_back_serves_when_somebody_asks_for_another_look(
    any_site: Site, opened: Open
) -> None:
    clock = AheadClock()
    away = Path(f"{any_site.volume('v2')}-away")
    opened().close()
    any_site.volume("v2").rename(away)
    any_site.volume("v2").mkdir()
    deployment = opened(clock=clock)
    deployment.obey(Idle())
    go_on(deployment, clock)
    v2 = deployment.backends.find(BackendName("v2"))
    assert v2 is not None
    any_site.volume("v2").rmdir()
    away.rename(any_site.volume("v2"))
    go_on(deployment, clock)
    assert deployment.health.problem_of(v2.backend_id) is not None

    deployment.store.write(partial(ask_to_look, instance_id=deployment.instance_id))
    for _ in range(2):
        go_on(deployment, clock)

    assert deployment.health.problem_of(v2.backend_id) is None
    assert deployment.generation == 1


class Idle:
    """Duties of a process that serves nobody."""

    restarts = False

    def in_flight_count(self) -> None:
        return None

    def drain(self, is_wanted: bool, /) -> None: ...

    def make_room(self) -> None: ...

    def stop_instance(self) -> None: ...


def test_a_new_backend_takes_nothing_while_a_process_does_not_know_it(any_site: Site, opened: Open) -> None:
    clock = AheadClock()
    ahead = opened(clock=clock)
    behind = opened(clock=clock)
    any_site.edit(V2, V2 + V3)
    take_file_over(any_site.config, ENVIRON)
    go_on(ahead, clock)

    for number in range(9):
        put(ahead, b"%d" % number)

    assert all(get(behind, b"%d" % number) for number in range(9))
    go_on(behind, clock)
    clock.move(2.0)
    for number in range(9):
        put(ahead, b"%d" % number)
    assert "v3" in {name for number in range(9) for name in places_of(ahead, b"%d" % number)}
    assert all(get(behind, b"%d" % number) for number in range(9))


def test_a_new_backend_is_used_all_the_same_where_the_scheme_asks_for_it(site: Site, opened: Open) -> None:
    clock = AheadClock()
    ahead, behind = opened(clock=clock), opened(clock=clock)
    site.edit(V2, V2 + V3.replace("path:", "failure_domain: other, path:"))
    site.edit("backends:\n", "storage: {default_scheme: copies(2)}\nbackends:\n")
    take_file_over(site.config, ENVIRON)
    go_on(ahead, clock)

    put(ahead, b"k")

    assert ahead.settings.live.storage.default_scheme == Copies(count=2)
    assert "v3" in places_of(ahead, b"k")
    assert get(behind, b"k") == b"x" * 1000


def test_a_database_that_is_away_is_no_refusal(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    deployment.store.close()

    go_on(deployment, clock)

    assert deployment.generation == 1
    with pytest.raises(DatabaseUnavailable):
        row_of(deployment)
