"""A deployment over PostgreSQL: made once by however many starts, and told by nobody's file but when asked to."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.deployment.opening import OpenDeployment, open_deployment, take_file_over
from engine.errors import DatabaseUnavailable, NoSuchBucket, StartRefused
from engine.metadata import processes
from engine.metadata.buckets import find_bucket
from engine.metadata.postgres.store import PostgresStore
from tests.integration.engine.deployment.conftest import ENVIRON, AheadClock, Open, Site, over_postgres
from tests.support.metadata import run_sql
from tests.support.postgres import shared_server

OTHER_BUCKET = "buckets:\n  - {name: xyz, account: main}\n  - {name: abc"


class StoppedClock(SystemClock):
    """By it nothing is ever due again."""

    def monotonic_s(self) -> float:
        return 1000.0


@pytest.fixture
def database() -> Iterator[str]:
    name = shared_server().create_empty_database()
    yield name
    shared_server().drop_database(name)


@pytest.fixture
def site(tmp_path: Path, database: str) -> Site:
    return over_postgres(Site(tmp_path), database)


def last_error(deployment: OpenDeployment) -> str | None:
    """What people are told of the process."""
    found = deployment.store.read(lambda tx: processes.find_instance(tx, deployment.instance_id))
    assert found is not None
    (note,) = {each.last_error for each in found.processes if each.process_id == deployment.process_id}
    return note


def generation_count(deployment: OpenDeployment) -> int:
    return len(run_sql(deployment.store, "SELECT 1 FROM config_generations"))


def test_many_first_starts_at_once_make_one_deployment(site: Site) -> None:
    made: list[OpenDeployment] = []
    problems: list[Exception] = []

    def start() -> None:
        try:
            made.append(open_deployment(site.config, ENVIRON, plane="dataplane", version="1"))
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=start) for _ in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert problems == []
    assert len({each.deployment_id for each in made}) == 1
    assert {each.generation for each in made} == {1}
    assert generation_count(made[0]) == 1
    for deployment in made:
        deployment.close()


def test_a_start_takes_no_changed_file_over_and_says_so(
    site: Site, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    opened().close()
    site.edit("buckets:\n  - {name: abc", OTHER_BUCKET)

    deployment = opened()
    deployment.tick()

    assert deployment.generation == 1
    assert generation_count(deployment) == 1
    with pytest.raises(NoSuchBucket):
        deployment.store.read(lambda tx: find_bucket(tx, "xyz"))
    assert [each for each in caplog.records if each.message == "deployment.file_differs"]
    assert "configuration file differs" in str(last_error(deployment))


def test_a_file_is_taken_over_when_asked_for_and_once(site: Site, opened: Open) -> None:
    opened().close()
    site.edit("buckets:\n  - {name: abc", OTHER_BUCKET)

    assert take_file_over(site.config, ENVIRON) == 2
    assert take_file_over(site.config, ENVIRON) == 2

    deployment = opened()
    deployment.tick()
    assert deployment.generation == 2
    assert deployment.store.read(lambda tx: find_bucket(tx, "xyz")).name == "xyz"
    assert last_error(deployment) is None


def test_a_process_hears_of_a_generation_before_it_would_look(site: Site, opened: Open) -> None:
    deployment = opened(clock=StoppedClock())
    deployment.tick()
    site.edit("buckets:\n  - {name: abc", OTHER_BUCKET)
    begun_s = time.monotonic()

    take_file_over(site.config, ENVIRON)

    while deployment.generation != 2:
        assert time.monotonic() - begun_s < 20
        deployment.tick()
        time.sleep(0.02)


def test_a_clock_that_is_off_is_told_and_changes_no_time_that_is_stored(site: Site, opened: Open) -> None:
    clock = AheadClock()
    clock.move(3600)
    deployment = opened(clock=clock)

    deployment.tick()

    assert "its clock is +3600 s off" in str(last_error(deployment))
    ((heartbeat_us,),) = run_sql(deployment.store, "SELECT heartbeat_at_us FROM instances")
    assert isinstance(heartbeat_us, int)
    assert clock.now_us() - heartbeat_us > 3_500_000_000


def test_an_instance_that_asks_for_more_connections_than_there_are_is_refused(
    site: Site, opened: Open
) -> None:
    site.edit("max_conns: 24", "max_conns: 5000")

    with pytest.raises(StartRefused, match=r"max_conns is 5000.* allows"):
        opened()


def test_instances_that_ask_for_more_connections_than_there_are_together_are_refused(
    site: Site, opened: Open
) -> None:
    site.edit("max_conns: 24", "max_conns: 120")
    first = opened()

    with pytest.raises(DatabaseUnavailable, match="ask for 240 connections together"):
        opened()

    first.close()
    opened()


def test_processes_share_the_connections_of_their_instance_out(site: Site, opened: Open) -> None:
    deployment = opened()

    assert isinstance(deployment.store, PostgresStore)
    assert deployment.store.target.max_conns == 7


def test_a_generation_keeps_no_secret_in_the_clear(site: Site, opened: Open) -> None:
    deployment = opened()

    ((document,),) = run_sql(deployment.store, "SELECT document FROM config_generations")
    kept = (site.folder / "state" / "last-known.json").exists()
    deployment.tick()

    assert isinstance(document, str)
    assert shared_server().password not in document
    assert "kept-to-itself" not in document
    assert not kept
    text = (site.folder / "state" / "last-known.json").read_text()
    assert "kept-to-itself" not in text
    assert json.loads(text)["generation"] == 1
    assert (site.folder / "state" / "last-known.json").stat().st_mode & 0o777 == 0o600
