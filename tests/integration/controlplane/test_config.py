"""The configuration is shown without secrets, and a new one is checked without telling what references stand for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from penstock.admin.v1 import config_service_pb2

from tests.integration.controlplane.clients import Client
from tests.support.control import TOKENS, RunningPlane, failure, write_config

SECRET = "an-s3-secret-of-a-client-0123456789"
IDENTITIES = f"""\
identities:
  - {{name: app, account: main, access_key_id: AKAPP0000000000000001, secret_access_key: {SECRET}, role: writer}}
"""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    """One with an S3 client's secret in its configuration."""
    with RunningPlane(write_config(tmp_path, extra=IDENTITIES)) as plane:
        yield plane


def test_the_running_configuration_is_shown_without_secrets(plane: RunningPlane, client: Client) -> None:
    answer = client("config", config_service_pb2.GetConfigRequest())

    assert (answer.generation, answer.file_matches) == (1, True)
    assert answer.create_time.seconds
    shown = MessageToDict(answer.config)
    assert [each["name"] for each in shown["backends"]] == ["v1", "v2"]
    assert shown["identities"][0]["access_key_id"] == "AKAPP0000000000000001"
    text = str(answer)
    assert SECRET not in text
    assert all(token not in text for token in TOKENS.values())
    assert shown["identities"][0]["secret_access_key"] == "***"
    assert {each["sha256"] for each in shown["admin_tokens"]} == {"***"}


def test_a_file_that_was_edited_since_is_noticed(plane: RunningPlane, client: Client) -> None:
    plane.config.write_text(plane.config.read_text() + "# edited\n")

    assert not client("config", config_service_pb2.GetConfigRequest()).file_matches


def test_a_file_that_is_gone_does_not_match(plane: RunningPlane, client: Client) -> None:
    plane.config.unlink()

    assert not client("config", config_service_pb2.GetConfigRequest()).file_matches


def validate(client: Client, raw: str) -> list[Any]:
    return list(client("config", config_service_pb2.ValidateConfigRequest(raw=raw)).problems)


def test_a_valid_configuration_has_no_problems_and_leaves_nothing_behind(
    plane: RunningPlane, client: Client
) -> None:
    before = sorted(plane.config.parent.iterdir())

    assert validate(client, plane.config.read_text()) == []
    assert sorted(plane.config.parent.iterdir()) == before


def test_every_problem_of_a_configuration_has_its_line(plane: RunningPlane, client: Client) -> None:
    raw = plane.config.read_text() + "region: 'no region!'\nunheard_of: 1\n"
    line = len(raw.splitlines())

    problems = validate(client, raw)

    assert [(each.path, each.line) for each in problems] == [("region", line - 1), ("unheard_of", line)]
    assert all(each.message for each in problems)


@pytest.mark.parametrize("raw", ["", "  \n\t"])
def test_no_text_is_no_configuration(client: Client, raw: str) -> None:
    failed = failure(lambda: validate(client, raw))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["raw"])


@pytest.mark.parametrize(
    "raw", ["{", "a: !!python/object:os.system x", "[" * 1000, "\x00", "- 1\n- 2", "a: 1\na: 2"]
)
def test_text_that_is_no_configuration_has_problems(client: Client, raw: str) -> None:
    assert validate(client, raw)


@pytest.mark.parametrize(
    ("place", "instead"),
    [
        ("keys: {provider: file, path: master.key}", 'keys: {provider: file, path: "${file:secret}"}'),
        ("node: {name: node-1,", 'node: {name: "${file:secret}",'),
        ("database: {path: metadata.sqlite}", 'database: {driver: "${file:secret}", path: metadata.sqlite}'),
        ("kind: volume", 'kind: "${file:secret}"'),
        ("kind: volume", 'kind: "x-${file:secret}"'),
        ("role: viewer", 'role: "${env:SECRET}"'),
    ],
)
def test_what_references_stand_for_is_never_told(tmp_path: Path, place: str, instead: str) -> None:
    secret = "Content Of A File"
    config = write_config(tmp_path)
    (tmp_path / "secret").write_text(secret)
    raw = config.read_text().replace(place, instead, 1)
    assert raw != config.read_text()

    with RunningPlane(config, environ={"SECRET": secret}) as plane, plane.channel(socket="admin") as channel:
        problems = validate(Client(channel), raw)

    assert problems
    assert secret not in str(problems)


def test_a_reference_without_a_value_is_named(plane: RunningPlane, client: Client) -> None:
    raw = plane.config.read_text() + 'region: "${env:NOWHERE}"\n'

    (problem,) = validate(client, raw)

    assert "NOWHERE is not set" in problem.message
