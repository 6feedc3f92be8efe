"""Two instances over one PostgreSQL: either tells of both, and a switch turned at one is heeded by the other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.adminctl.running import adminctl
from tests.support.control import wait_until
from tests.support.instances import Instance, InstanceWish, SharedDatabase
from tests.support.postgres import shared_server, with_database
from tests.support.served import Served

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    folder: Path = tmp_path_factory.mktemp("instances")
    server = shared_server()
    database = SharedDatabase(server=server, name=server.create_empty_database())
    try:
        with (
            Served(
                folder,
                volumes=2,
                edit_config=lambda text: with_database(text, database.server, database.name),
            ) as first,
            Instance(first, folder / "second", wish=InstanceWish()) as second,
        ):
            yield first, second
    finally:
        server.drop_database(database.name)


def told(served: Served, *command: str) -> Any:
    environ = {
        "PENSTOCK_ENDPOINT": served.credentials.control_address,
        "PENSTOCK_TOKEN": served.credentials.admin_token,
    }
    done = adminctl("-o", "json", *command, environ=environ)
    return json.loads(done.stdout)


def test_either_instance_tells_what_both_serve(both: tuple[Served, Served]) -> None:
    for each in both:
        each.client().list_buckets()

    def answers() -> list[list[str]]:
        return [
            [stats["instance"] for stats in told(each, "system", "get-stats")["instances"]] for each in both
        ]

    wait_until(lambda: all(len(names) == 2 for names in answers()), "the figures of both")
    first, second = answers()
    dashboard = told(both[1], "top", "--once")["dashboard"]

    assert first == second
    assert len(dashboard["stats"]) == 2
    assert {each["plane"] for each in dashboard["processes"]} == {"PLANE_DATA", "PLANE_CONTROL"}


def test_a_switch_turned_at_one_instance_is_heeded_by_the_other(both: tuple[Served, Served]) -> None:
    first, second = both
    client = second.client()
    client.create_bucket(Bucket="switched")

    def is_refused() -> bool:
        try:
            client.put_object(Bucket="switched", Key="k", Body=b"x")
        except ClientError as error:
            return str(error.response["Error"]["Code"]) == "ServiceUnavailable"
        return False

    told(first, "system", "read-only", "on")
    wait_until(is_refused, "the switch")
    told(second, "system", "read-only", "off")
    wait_until(lambda: not is_refused(), "the switch back")
