"""A served deployment as operators see it: figures of real requests, `top`, `doctor`, writes switched off and on."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.adminctl.on_terminal import Terminal
from tests.integration.adminctl.running import adminctl
from tests.support.control import wait_until
from tests.support.instances import SharedDatabase
from tests.support.postgres import shared_server, with_database
from tests.support.served import Served


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("overview")
    with ExitStack() as stack:
        edit = None
        if request.param == "postgres":
            server = shared_server()
            database = SharedDatabase(server=server, name=server.create_empty_database())
            stack.callback(server.drop_database, database.name)

            def edit(text: str) -> str:
                return with_database(text, database.server, database.name)

        yield stack.enter_context(Served(folder, volumes=2, edit_config=edit))


@pytest.fixture
def environ(served: Served) -> dict[str, str]:
    return {
        "PENSTOCK_ENDPOINT": served.credentials.control_address,
        "PENSTOCK_TOKEN": served.credentials.admin_token,
    }


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return adminctl(*arguments, environ=environ)


def can_write(client: Any) -> bool:
    try:
        client.put_object(Bucket="overview", Key="written", Body=b"x")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ServiceUnavailable"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert "read-only" in error.response["Error"]["Message"]
        return False
    return True


def test_writes_are_off_within_a_second_and_on_again_while_reads_go_on(
    served: Served, environ: dict[str, str]
) -> None:
    client = served.client()
    client.create_bucket(Bucket="overview")
    client.put_object(Bucket="overview", Key="k", Body=b"before")

    wait_until(lambda: run(environ, "config", "get").returncode == 0, "the control plane")
    turned = run(environ, "system", "read-only", "on", "--reason", "a move of disks")
    assert turned.returncode == 0, turned.stderr
    # Every process heeds it by itself, and connections go to any of them.
    wait_until(lambda: not any(can_write(client) for _ in range(10)), "the switch")
    refused = [can_write(client) for _ in range(20)]
    read = client.get_object(Bucket="overview", Key="k")["Body"].read()
    with pytest.raises(ClientError, match="read-only"):
        client.delete_object(Bucket="overview", Key="k")
    told = run(environ, "doctor")
    run(environ, "system", "read-only", "off")
    wait_until(lambda: all(can_write(client) for _ in range(10)), "the switch back")
    allowed = [can_write(client) for _ in range(20)]

    assert (set(refused), set(allowed), read) == ({False}, {True}, b"before")
    assert told.returncode == 3
    assert "a move of disks" in told.stdout
    assert "read-only off" in told.stdout


def test_figures_are_of_what_was_served(served: Served, environ: dict[str, str]) -> None:
    client = served.client()
    for number in range(20):
        client.list_buckets(Prefix=str(number))

    def listed_count() -> int:
        done = run(environ, "system", "get-stats", "-o", "json")
        operations = [
            each for one in json.loads(done.stdout)["instances"] for each in one.get("operations", [])
        ]
        return sum(int(each["request_count"]) for each in operations if each["operation"] == "ListBuckets")

    wait_until(lambda: listed_count() >= 20, "the figures")
    by_operation = run(environ, "system", "get-stats", "--operations").stdout
    by_node = run(environ, "system", "get-stats").stdout

    assert "ListBuckets" in by_operation
    assert "REQUESTS/S" in by_node


def test_a_deployment_that_is_well_has_no_findings(served: Served, environ: dict[str, str]) -> None:
    done = run(environ, "doctor")
    told = json.loads(run(environ, "doctor", "-o", "json").stdout)

    assert (done.returncode, told) == (0, {"findings": []}), done.stdout


def test_top_once_is_plain_in_a_pipe_and_json_for_programs(served: Served, environ: dict[str, str]) -> None:
    plain = run(environ, "top", "--once")
    told = json.loads(run(environ, "top", "--once", "-o", "json").stdout)["dashboard"]

    assert "\x1b" not in plain.stdout
    assert "backends" not in plain.stderr
    assert {"v1", "v2"} <= {line.split()[0] for line in plain.stdout.splitlines() if line.strip()}
    assert len(told["backends"]) == 2


def test_top_is_drawn_until_q_is_typed_and_leaves_the_terminal_as_it_was(
    served: Served, environ: dict[str, str]
) -> None:
    with Terminal(["top"], environ, columns=100) as terminal:
        terminal.wait_for("BOUND BY")
        terminal.type("s")
        terminal.type("f")
        terminal.type("q")
        status, shown = terminal.end()

    assert status == 0
    assert "status " in shown
    # The alternate screen is left again.
    assert shown.rindex("\x1b[?1049l") > shown.index("\x1b[?1049h")


def test_top_ends_with_6_when_the_server_goes(environ: dict[str, str]) -> None:
    with Terminal(["top"], {**environ, "PENSTOCK_ENDPOINT": "127.0.0.1:1"}) as terminal:
        status, shown = terminal.end()

    assert status == 6
    assert "no connection" in shown


def test_events_are_shown_as_they_happen(served: Served, environ: dict[str, str]) -> None:
    with Terminal(["system", "watch-events", "--topic", "read-only"], environ, columns=200) as terminal:
        terminal.wait_for("clients may write")
        run(environ, "system", "read-only", "on")
        terminal.wait_for("changed")
        run(environ, "system", "read-only", "off")
        terminal.interrupt()
        status, _ = terminal.end()

    assert status == 130
