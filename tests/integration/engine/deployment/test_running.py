"""A process gives signs of life, tells when its clock steps back, and gives back what it holds, whatever fails."""

import pytest

from engine.deployment.opening import OpenDeployment
from engine.metadata import intents
from engine.metadata.processes import DEAD_AFTER_S, HEARTBEAT_S, InstanceRow, find_instance
from engine.names import BucketName, ObjectKey
from engine.objects.write import PutOrder
from engine.records import ObjectHeaders
from tests.integration.engine.deployment.conftest import CONFIG, AheadClock, Open, Site
from tests.support.bodies import BytesBody


def instance(looker: OpenDeployment, of: OpenDeployment) -> InstanceRow:
    row = looker.store.read(lambda tx: find_instance(tx, of.instance_id))
    assert row is not None
    return row


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records]


def test_ticks_keep_a_process_alive(opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    for _ in range(DEAD_AFTER_S):
        clock.move(HEARTBEAT_S)
        deployment.tick()

    row = instance(deployment, deployment)

    assert row.is_alive
    assert row.processes[0].generation == 1
    clock.move(DEAD_AFTER_S)
    assert not instance(deployment, deployment).is_alive


def test_a_clock_that_steps_back_is_told_once(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    clock.move(3600)
    deployment.tick()
    deployment.close()
    clock = AheadClock()
    deployment = opened(clock=clock)

    for _ in range(3):
        clock.move(HEARTBEAT_S)
        deployment.tick()

    (alarm,) = [each for each in caplog.records if each.message == "deployment.clock_stepped_back"]
    assert alarm.levelname == "ERROR"
    assert 3500 < alarm.__dict__["step_s"] < 3700


def test_a_database_that_takes_no_writes_is_known_after_the_next_sign_of_life(opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    deployment.tick()
    assert deployment.write_problem is None

    deployment.store.refuse_writes("the disk is full")  # type: ignore[attr-defined]
    clock.move(HEARTBEAT_S)
    deployment.tick()

    assert "the disk is full" in (deployment.write_problem or "")
    deployment.store.refuse_writes(None)  # type: ignore[attr-defined]
    clock.move(HEARTBEAT_S)
    deployment.tick()
    assert deployment.write_problem is None


def test_a_tick_without_a_database_tells_it_once_and_goes_on(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    deployment.store.close()

    for _ in range(3):
        clock.move(HEARTBEAT_S)
        deployment.tick()

    failed = [each.__dict__["step"] for each in caplog.records if each.message == "process.step_failed"]
    assert sorted(failed) == ["breaker resets", "generation", "heartbeat", "probe", "resting backends"]


def test_a_close_goes_through_whatever_fails_on_the_way(
    site: Site, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    site.config.write_text(CONFIG.replace("kind: volume, path: volumes/v2", "kind: memory"))
    site.config.write_text(site.config.read_text() + "debug: {allowed: true}\n")
    looker, deployment = opened(), opened()
    alice = deployment.find_identity("AKIAALICE")
    assert alice is not None
    for number in range(4):
        order = PutOrder(
            bucket=BucketName("abc"),
            key=ObjectKey(b"%d" % number),
            account_id=alice.account_id,
            headers=ObjectHeaders(),
        )
        deployment.use.writer.put(order, BytesBody(b"x" * 100))
    assert looker.store.read(intents.count) > 0

    deployment.close()

    assert looker.store.read(intents.count) == 0
    assert not instance(looker, deployment).is_alive
    assert "deployment.close_failed" not in messages(caplog)
    deployment.close()


def test_steps_that_fail_do_not_keep_the_rest_of_a_close(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = opened()
    deployment.store.close()

    deployment.close()

    failed = [each.__dict__["step"] for each in caplog.records if each.message == "deployment.close_failed"]
    assert failed == ["process"]
