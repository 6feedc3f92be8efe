"""A backend is registered once and compared ever after: one that is not what it was is failed, and the others serve."""

import json
from logging import INFO
from pathlib import Path

import pytest

from engine.backends.volume.identity import IDENTITY_NAME
from engine.deployment.opening import OpenDeployment
from engine.errors import InvalidConfig, StartRefused
from engine.metadata import backends
from engine.metadata.backends import list_backends, list_problems
from engine.metadata.processes import DEAD_AFTER_S
from engine.names import BucketName, ObjectKey
from engine.objects.read import Span
from engine.objects.write import PutOrder
from engine.placement.health import PROBE_EVERY_S, Health
from engine.records import BackendState, ObjectHeaders
from tests.integration.engine.deployment.conftest import CONFIG, AheadClock, Open, Site
from tests.integration.engine.deployment.starts import Starter
from tests.support.bodies import BytesBody, regions_of


def put(deployment: OpenDeployment, key: bytes, data: bytes) -> None:
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


def id_of(deployment: OpenDeployment, name: str) -> int:
    return next(each.backend_id for each in deployment.backends if each.name == name)


def problems_of(deployment: OpenDeployment, name: str) -> list[str]:
    """What instances that are alive say."""
    backend_id, since_us = id_of(deployment, name), deployment.clock.now_us() - DEAD_AFTER_S * 1_000_000
    return deployment.store.read(lambda tx: list_problems(tx, backend_id, since_us=since_us))


def unmount(site: Site, name: str) -> Path:
    """The folder is there, and empty, as a mount point without its disk."""
    away = site.volume(f"{name}-away")
    site.volume(name).rename(away)
    site.volume(name).mkdir()
    return away


def test_an_unmounted_disk_is_failed_and_left_alone_while_the_other_serves(
    site: Site, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    opened().close()
    unmount(site, "v1")

    deployment = opened()

    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.FAILED
    assert deployment.health.health_of(id_of(deployment, "v2")) is Health.HEALTHY
    put(deployment, b"k", b"hello")
    assert get(deployment, b"k") == b"hello"
    assert list(site.volume("v1").iterdir()) == []
    assert "is the disk mounted?" in problems_of(deployment, "v1")[0]
    assert problems_of(deployment, "v2") == []
    deployment.tick()
    alarms = [each for each in caplog.records if each.message.startswith("backend.") and each.levelno > INFO]
    assert [(each.message, each.__dict__["backend"], each.levelname) for each in alarms] == [
        ("backend.failed", "v1", "ERROR")
    ]


def test_a_disk_that_returns_serves_after_the_next_start(site: Site, opened: Open) -> None:
    first = opened()
    for number in range(4):
        put(first, b"%d" % number, b"data-%d" % number)
    first.close()
    away = unmount(site, "v1")
    opened().close()
    site.volume("v1").rmdir()
    away.rename(site.volume("v1"))
    clock = AheadClock()
    clock.move(DEAD_AFTER_S + 1)

    deployment = opened(clock=clock)

    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.HEALTHY
    assert [get(deployment, b"%d" % number) for number in range(4)] == [
        b"data-%d" % number for number in range(4)
    ]
    assert problems_of(deployment, "v1") == []


def test_a_disk_that_is_mounted_again_serves_again_by_itself(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    for number in range(4):
        put(deployment, b"%d" % number, b"data-%d" % number)
    away = unmount(site, "v1")
    clock.move(PROBE_EVERY_S)
    deployment.tick()
    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.FAILED
    clock.move(PROBE_EVERY_S)
    deployment.tick()
    put(deployment, b"4", b"data-4")
    assert list(site.volume("v1").iterdir()) == []
    site.volume("v1").rmdir()
    away.rename(site.volume("v1"))
    clock.move(PROBE_EVERY_S)

    deployment.tick()
    deployment.tick()

    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.HEALTHY
    assert problems_of(deployment, "v1") == []
    assert [get(deployment, b"%d" % number) for number in range(5)] == [
        b"data-%d" % number for number in range(5)
    ]
    assert deployment.generation == 1


def test_a_disk_of_somebody_else_in_its_place_stays_failed_and_says_so(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    unmount(site, "v1")
    clock.move(PROBE_EVERY_S)
    deployment.tick()
    theirs = site.volume("v1") / IDENTITY_NAME
    theirs.write_text((site.volume("v2") / IDENTITY_NAME).read_text())
    before = deployment.backends
    clock.move(PROBE_EVERY_S)

    deployment.tick()
    deployment.tick()

    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.FAILED
    assert "names another deployment, backend or node" in problems_of(deployment, "v1")[0]
    assert list(site.volume("v1").iterdir()) == [theirs]
    assert deployment.backends is before


def test_another_backends_folder_is_noticed(site: Site, opened: Open) -> None:
    opened().close()
    site.volume("v1").rename(site.volume("spare"))
    site.volume("v2").rename(site.volume("v1"))
    site.volume("spare").rename(site.volume("v2"))

    deployment = opened()

    assert {deployment.health.health_of(each.backend_id) for each in deployment.backends} == {Health.FAILED}
    assert "names another deployment, backend or node" in problems_of(deployment, "v1")[0]


def test_a_disk_that_goes_away_later_is_noticed_by_the_next_look(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    deployment.tick()
    unmount(site, "v1")
    deployment.tick()
    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.HEALTHY
    clock.move(PROBE_EVERY_S)

    deployment.tick()

    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.FAILED
    assert "is the disk mounted?" in problems_of(deployment, "v1")[0]


def test_of_a_backend_that_was_removed_nothing_has_to_be_there(site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    backend_id = id_of(deployment, "v1")
    deployment.store.write(
        lambda tx: backends.set_state(
            tx, backend_id, BackendState.REMOVED, reason=None, operation="operations/1"
        )
    )
    unmount(site, "v1")
    clock.move(PROBE_EVERY_S)

    deployment.tick()

    assert deployment.health.health_of(backend_id) is Health.HEALTHY


def test_a_folder_that_cannot_be_looked_into_is_suspected_and_watched(site: Site, opened: Open) -> None:
    opened().close()
    identity = site.volume("v1") / IDENTITY_NAME
    text = identity.read_text()
    identity.unlink()
    identity.mkdir()
    clock = AheadClock()

    deployment = opened(clock=clock)

    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.DEGRADED
    assert problems_of(deployment, "v1") != []
    identity.rmdir()
    identity.write_text(text)
    clock.move(PROBE_EVERY_S)
    deployment.tick()
    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.HEALTHY
    assert problems_of(deployment, "v1") == []


def test_a_new_volume_that_cannot_be_made_refuses_before_anything_is_made(site: Site, opened: Open) -> None:
    site.volume("v1").parent.mkdir()
    site.volume("v1").touch()

    with pytest.raises(StartRefused, match=r"'v1' cannot be registered: .*Not a directory"):
        opened()

    site.volume("v1").unlink()
    assert opened().generation == 1


def test_a_volume_that_cannot_be_registered_now_is_registered_by_a_later_start(
    site: Site, opened: Open, starter: Starter
) -> None:
    starter.start_until(site.config, "before engine.backends.volume.identity.init_identity")
    site.volume("v1").parent.mkdir(exist_ok=True)
    site.volume("v1").touch()

    deployment = opened()

    rows = {str(row.name): row.is_registered for row in deployment.store.read(list_backends)}
    assert rows == {"v1": False, "v2": True}
    assert deployment.health.health_of(id_of(deployment, "v1")) is Health.FAILED
    deployment.close()
    site.volume("v1").unlink()
    again = opened()
    assert all(row.is_registered for row in again.store.read(list_backends))
    assert json.loads((site.volume("v1") / IDENTITY_NAME).read_text())["node"] == "n1"


def test_backends_in_memory_ask_for_debugging(site: Site, opened: Open) -> None:
    site.config.write_text(CONFIG.replace("kind: volume, path: volumes/v2", "kind: memory"))
    with pytest.raises(InvalidConfig, match=r"debug\.allowed"):
        opened()
    site.config.write_text(site.config.read_text() + "debug: {allowed: true}\n")

    deployment = opened()

    assert sorted(each.name for each in deployment.backends) == ["v1", "v2"]
    for number in range(4):
        put(deployment, b"%d" % number, b"data-%d" % number)
        assert get(deployment, b"%d" % number) == b"data-%d" % number
