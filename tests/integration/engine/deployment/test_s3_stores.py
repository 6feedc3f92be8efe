"""S3 backends of a deployment: registered in empty prefixes, failed when they are not what they were, opened anew."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engine.backends.s3.identity import IDENTITY_NAME
from engine.clock import uuid7
from engine.deployment.process import OpenDeployment
from engine.deployment.registering import TURN_S
from engine.deployment.reloading import Reloading
from engine.errors import BackendsUnavailable, InvalidConfig, StartRefused
from engine.metadata import leases
from engine.metadata.backends import list_backends
from engine.placement.health import PROBE_EVERY_S, Health
from engine.units import HOUR_S
from tests.integration.engine.deployment.conftest import CONFIG, ENVIRON, AheadClock, Open, Site
from tests.integration.engine.deployment.starts import Starter
from tests.integration.engine.deployment.test_stores import get, id_of, problems_of, put
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Latency, Request
from tests.support.s3_stores import BUCKET, RcloneStore

V2 = next(line for line in CONFIG.splitlines() if "name: v2" in line) + "\n"


@pytest.fixture
def rclone(tmp_path: Path) -> Iterator[RcloneStore]:
    with RcloneStore(tmp_path / "rclone") as store:
        yield store


def far(store: RcloneStore, *, prefix: str = "main", name: str = "far") -> str:
    place = store.place
    return (
        f"  - {{name: {name}, kind: s3, endpoint: '{place.endpoint}', bucket: {place.bucket}, prefix: {prefix}, "
        f"access_key_id: {place.access_key_id}, secret_access_key: {place.secret_access_key}}}\n"
    )


def two_copies(site: Site, store: RcloneStore) -> None:
    """A volume and a store, a copy on each."""
    site.edit(V2, far(store))
    site.edit("buckets:\n", "storage: {default_scheme: copies(2)}\nbuckets:\n")


def test_a_copy_lies_in_the_store_and_outlives_a_restart(
    site: Site, opened: Open, rclone: RcloneStore
) -> None:
    two_copies(site, rclone)
    first = opened()
    put(first, b"k", b"hello")
    first.close()

    deployment = opened()

    assert get(deployment, b"k") == b"hello"
    pieces = [
        each for each in (rclone.folder / "data" / BUCKET / "main" / "pieces").rglob("*") if each.is_file()
    ]
    assert [each.read_bytes()[:5] for each in pieces] == [b"hello"]
    assert problems_of(deployment, "far") == []


def test_processes_that_start_at_once_write_one_identity(
    any_site: Site, opened: Open, rclone: RcloneStore
) -> None:
    def is_identity(request: Request) -> bool:
        return request.method == "PUT" and IDENTITY_NAME in request.target

    address = urlsplit(rclone.place.endpoint)
    with FaultProxy(str(address.hostname), int(address.port or 0)) as proxy:
        any_site.edit(V2, far(rclone).replace(rclone.place.endpoint, proxy.endpoint))
        proxy.add(Latency(seconds=0.5), which=is_identity)

        with ThreadPoolExecutor(3) as threads:
            deployments = list(threads.map(lambda _: opened(), range(3)))

        assert len([each for each in proxy.seen if is_identity(each)]) == 1
        assert [problems_of(each, "far") for each in deployments] == [[], [], []]
        for each in deployments:
            each.close()


def test_a_store_that_another_process_is_registering_is_left_to_it(
    any_site: Site, opened: Open, rclone: RcloneStore
) -> None:
    rclone.kill()
    any_site.edit(V2, far(rclone))
    clock = AheadClock()
    deployment = opened(clock=clock)
    name = f"register:{id_of(deployment, 'far')}"
    rclone.start()
    turn = deployment.store.write(lambda tx: leases.acquire(tx, worker=name, holder=uuid7(), ttl_s=HOUR_S))
    assert turn is not None

    look_twice(deployment, clock)

    assert "another process is registering it" in problems_of(deployment, "far")[0]
    assert not is_registered(deployment, "far")
    deployment.store.write(lambda tx: leases.release(tx, turn))

    look_twice(deployment, clock)

    assert problems_of(deployment, "far") == []
    assert is_registered(deployment, "far")
    deployment.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "function",
    [
        "engine.metadata.leases.acquire",
        "engine.backends.s3.identity.IdentityObject._create",
        "engine.metadata.backends.mark_registered",
        "engine.metadata.leases.release",
    ],
)
def test_a_registration_that_was_killed_is_completed_by_the_next_start(
    site: Site, opened: Open, starter: Starter, rclone: RcloneStore, when: str, function: str
) -> None:
    two_copies(site, rclone)
    assert starter.start_until(site.config, f"{when} {function}").status == -signal.SIGKILL
    clock = AheadClock()
    clock.move(TURN_S)

    deployment = opened(clock=clock)

    assert is_registered(deployment, "far")
    assert problems_of(deployment, "far") == []
    put(deployment, b"k", b"hello")


def test_a_prefix_that_holds_something_refuses_the_first_start(
    site: Site, opened: Open, rclone: RcloneStore
) -> None:
    folder = rclone.folder / "data" / BUCKET / "main"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"mine")
    two_copies(site, rclone)

    with pytest.raises(StartRefused, match=r"holiday\.jpg"):
        opened()

    assert [each.name for each in folder.iterdir()] == ["holiday.jpg"]


def test_a_store_without_its_identity_is_failed_and_left_alone(
    site: Site, opened: Open, rclone: RcloneStore
) -> None:
    two_copies(site, rclone)
    first = opened()
    put(first, b"k", b"hello")
    first.close()
    here, away = rclone.folder / "data" / BUCKET, rclone.folder / "data" / "away"
    rclone.kill()
    here.rename(away)
    here.mkdir()
    rclone.start()

    deployment = opened()

    assert deployment.health.health_of(id_of(deployment, "far")) is Health.FAILED
    assert "is it the right bucket and prefix?" in problems_of(deployment, "far")[0]
    assert get(deployment, b"k") == b"hello"
    assert list(here.iterdir()) == []


def test_a_store_that_is_down_at_a_start_serves_once_it_is_back(
    site: Site, opened: Open, rclone: RcloneStore
) -> None:
    two_copies(site, rclone)
    first = opened()
    put(first, b"k", b"hello")
    first.close()
    rclone.kill()

    deployment = opened()

    assert deployment.health.health_of(id_of(deployment, "far")) is Health.DEGRADED
    assert get(deployment, b"k") == b"hello"
    rclone.start()
    put(deployment, b"again", b"hello again")
    assert get(deployment, b"again") == b"hello again"


def look_twice(deployment: OpenDeployment, clock: AheadClock) -> None:
    """The look that finds what changed, and the tick that goes by it."""
    clock.move(PROBE_EVERY_S)
    deployment.tick()
    deployment.tick()


def is_registered(deployment: OpenDeployment, name: str) -> bool:
    return {str(row.name): row.is_registered for row in deployment.store.read(list_backends)}[name]


def test_a_store_out_of_reach_at_the_first_start_is_registered_once_it_answers(
    site: Site, opened: Open, rclone: RcloneStore
) -> None:
    two_copies(site, rclone)
    rclone.kill()
    clock = AheadClock()
    deployment = opened(clock=clock)
    look_twice(deployment, clock)
    assert deployment.health.health_of(id_of(deployment, "far")) is Health.FAILED
    assert not is_registered(deployment, "far")
    with pytest.raises(BackendsUnavailable):
        put(deployment, b"k", b"hello")
    rclone.start()

    look_twice(deployment, clock)

    assert deployment.health.health_of(id_of(deployment, "far")) is Health.HEALTHY
    assert is_registered(deployment, "far")
    put(deployment, b"k", b"hello")
    assert (rclone.folder / "data" / BUCKET / "main" / IDENTITY_NAME).exists()
    assert problems_of(deployment, "far") == []


def test_a_store_that_turns_out_to_be_occupied_is_not_registered(
    site: Site, opened: Open, rclone: RcloneStore
) -> None:
    two_copies(site, rclone)
    rclone.kill()
    clock = AheadClock()
    deployment = opened(clock=clock)
    folder = rclone.folder / "data" / BUCKET / "main"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"mine")
    rclone.start()

    look_twice(deployment, clock)

    assert deployment.health.health_of(id_of(deployment, "far")) is Health.FAILED
    assert not is_registered(deployment, "far")
    assert "holiday.jpg" in problems_of(deployment, "far")[0]
    assert [each.name for each in folder.iterdir()] == ["holiday.jpg"]


def test_a_bucket_that_was_another_and_is_right_again_serves_by_itself(
    site: Site, opened: Open, rclone: RcloneStore
) -> None:
    two_copies(site, rclone)
    clock = AheadClock()
    deployment = opened(clock=clock)
    put(deployment, b"k", b"hello")
    here, away = rclone.folder / "data" / BUCKET, rclone.folder / "data" / "away"
    # It remembers folders for minutes.
    rclone.kill()
    here.rename(away)
    here.mkdir()
    rclone.start()
    look_twice(deployment, clock)
    look_twice(deployment, clock)
    assert deployment.health.health_of(id_of(deployment, "far")) is Health.FAILED
    assert list(here.iterdir()) == []
    rclone.kill()
    here.rmdir()
    away.rename(here)
    rclone.start()

    look_twice(deployment, clock)

    assert deployment.health.health_of(id_of(deployment, "far")) is Health.HEALTHY
    assert problems_of(deployment, "far") == []
    put(deployment, b"again", b"hello again")
    assert get(deployment, b"again") == b"hello again"


def test_a_store_that_was_away_and_is_another_one_then_is_told_of_twice(
    site: Site, opened: Open, rclone: RcloneStore, caplog: pytest.LogCaptureFixture
) -> None:
    two_copies(site, rclone)
    clock = AheadClock()
    deployment = opened(clock=clock)
    here = rclone.folder / "data" / BUCKET
    rclone.kill()
    look_twice(deployment, clock)
    here.rename(rclone.folder / "data" / "away")
    here.mkdir()
    rclone.start()

    for _ in range(4):
        look_twice(deployment, clock)

    told = [each.__dict__["problem"] for each in caplog.records if each.message == "backend.problem"]
    assert ["no connection" in each for each in told] == [True, False]
    assert "is it the right bucket and prefix?" in told[1]


def test_a_reload_into_an_occupied_prefix_or_an_unreachable_store_changes_nothing(
    site: Site, opened: Open, rclone: RcloneStore
) -> None:
    deployment = opened()
    theirs = rclone.folder / "data" / BUCKET / "main" / "theirs"
    theirs.parent.mkdir()
    theirs.write_bytes(b"x")
    reloading = Reloading(deployment.store, deployment.ring, deployment.settings, environ=ENVIRON, ids=uuid7)
    before = site.config.read_text()

    site.config.write_text(before.replace("identities:\n", far(rclone) + "identities:\n"))
    with pytest.raises(InvalidConfig) as occupied:
        reloading.reload(author="somebody")
    rclone.kill()
    site.config.write_text(before.replace("identities:\n", far(rclone, prefix="free") + "identities:\n"))
    with pytest.raises(InvalidConfig) as unreachable:
        reloading.reload(author="somebody")

    assert [each.path for each in occupied.value.problems] == ["backends[2].bucket"]
    assert "theirs" in occupied.value.problems[0].message
    assert "no connection" in unreachable.value.problems[0].message
    assert deployment.generation == 1


def test_other_keys_of_the_same_store_open_it_anew(site: Site, opened: Open, rclone: RcloneStore) -> None:
    two_copies(site, rclone)
    deployment = opened()
    put(deployment, b"k", b"hello")
    before = deployment.backends.get(id_of(deployment, "far"))
    near = deployment.backends.get(id_of(deployment, "v1"))
    secret = rclone.place.secret_access_key
    rclone.kill()
    rclone.change_secret()
    rclone.start()
    site.edit(str(secret), str(rclone.place.secret_access_key))

    Reloading(deployment.store, deployment.ring, deployment.settings, environ=ENVIRON, ids=uuid7).reload(
        author="somebody"
    )
    deployment.tick()

    assert deployment.generation == 2
    assert deployment.backends.get(id_of(deployment, "far")) is not before
    assert deployment.backends.get(id_of(deployment, "v1")) is near
    put(deployment, b"more", b"hello")
    assert deployment.health.health_of(id_of(deployment, "far")) is Health.HEALTHY
