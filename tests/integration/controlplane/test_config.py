"""The configuration is shown without secrets, and a new one is checked without telling what references stand for."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from penstock.admin.v1 import (
    config_pb2,
    config_service_pb2,
    config_service_pb2_grpc,
    system_service_pb2,
    worker_service_pb2,
)

from engine.errors import StartRefused
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


def edit(plane: RunningPlane, old: str, new: str) -> None:
    text = plane.config.read_text()
    assert text.count(old) == 1, text
    plane.config.write_text(text.replace(old, new))


def reload(client: Client, **options: Any) -> Any:
    return client("config", config_service_pb2.ReloadConfigRequest(**options))


def config_in(client: Client, view: str) -> Any:
    request = config_service_pb2.GetConfigRequest()
    request.view = config_pb2.ConfigView.Value(f"CONFIG_VIEW_{view}")
    return client("config", request)


V2 = "  - {name: v2, kind: volume, path: volumes/v2}\n"
V3 = V2.replace("v2", "v3")


def test_a_reload_puts_the_file_in_force_and_tells_who_runs_it(plane: RunningPlane, client: Client) -> None:
    edit(plane, V2, V2 + V3)
    edit(plane, "node: {name", "region: eu-test-1\nnode: {name")

    answer = reload(client, wait=True)

    assert (answer.generation, answer.committed) == (2, True)
    assert [each.path for each in answer.changes] == ["backends[v3]", "region"]
    assert (answer.changes[1].old_value.string_value, answer.changes[1].new_value.string_value) == (
        "us-east-1",
        "eu-test-1",
    )
    assert answer.changes[1].effect == config_pb2.CONFIG_EFFECT_LIVE
    (process,) = answer.processes
    assert process.process_id == plane.opened.process_id.hex()
    assert (process.state, process.generation) == (config_pb2.CONFIG_PROCESS_STATE_APPLIED, 2)
    assert plane.opened.settings.live.region == "eu-test-1"
    assert [str(each.name) for each in plane.opened.backends] == ["v1", "v2", "v3"]
    shown = client("config", config_service_pb2.GetConfigRequest())
    assert (shown.generation, shown.author, shown.file_matches) == (2, "local", True)


def test_a_reload_without_a_change_makes_no_generation(plane: RunningPlane, client: Client) -> None:
    answer = reload(client, wait=True)

    assert (answer.generation, answer.committed, list(answer.changes)) == (1, False, [])
    assert [each.state for each in answer.processes] == [config_pb2.CONFIG_PROCESS_STATE_APPLIED]


def test_a_look_at_a_reload_changes_nothing(plane: RunningPlane, client: Client) -> None:
    edit(plane, "node: {name", "region: eu-test-1\nnode: {name")

    answer = reload(client, validate_only=True)

    assert (answer.generation, answer.committed) == (1, False)
    assert [each.path for each in answer.changes] == ["region"]
    assert not answer.processes
    assert client("config", config_service_pb2.GetConfigRequest()).generation == 1


def test_a_bad_file_is_refused_with_its_lines_and_nothing_of_it_counts(
    plane: RunningPlane, client: Client
) -> None:
    edit(plane, V2, V2 + "region: 'no region!'\n")
    line = plane.config.read_text()[: plane.config.read_text().index("region:")].count("\n") + 1

    failed = failure(lambda: reload(client, wait=True))

    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CONFIG")
    assert failed.fields["region"].startswith(f"line {line}: a region is ")
    assert client("config", config_service_pb2.GetConfigRequest()).generation == 1


def test_a_refusal_tells_nothing_of_what_references_stand_for(plane: RunningPlane, client: Client) -> None:
    (plane.config.parent / "secret").write_text("Content Of A File")
    edit(plane, "node: {name", 'region: "${file:secret}"\nnode: {name')

    for refused in (
        failure(lambda: reload(client)),
        failure(lambda: client("config", config_service_pb2.DiffConfigRequest())),
    ):
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "Content Of A File" not in refused.text + str(refused.fields)
        assert "${file:secret}" in refused.fields["region"]


def test_a_process_that_cannot_take_a_generation_is_told_of_and_tries_again(
    plane: RunningPlane, client: Client
) -> None:
    edit(plane, V2, V2 + V3)
    plane.opened.follow(lambda snapshot: refuse())

    answer = reload(client, wait=True)

    (process,) = answer.processes
    assert (answer.generation, answer.committed, process.generation) == (2, True, 1)
    assert (process.state, process.problem) == (config_pb2.CONFIG_PROCESS_STATE_REFUSED, "no room for it")
    (instance,) = client("system", system_service_pb2.ListInstancesRequest()).instances
    assert (instance.processes[0].config_generation, instance.processes[0].refused_generation) == (1, 2)
    assert instance.processes[0].refusal == "no room for it"
    assert config_in(client, "RUNTIME").generation == 1
    assert config_in(client, "EFFECTIVE").generation == 2


def refuse() -> Any:
    raise StartRefused("no room for it")


def test_the_configuration_has_three_faces(plane: RunningPlane, client: Client) -> None:
    edit(plane, "node: {name", 'region: "${env:REGION}"\nnode: {name')

    runtime, effective, file = (config_in(client, each) for each in ("RUNTIME", "EFFECTIVE", "FILE"))

    for each in (runtime, effective):
        shown = MessageToDict(each.config)
        assert (each.generation, shown["region"], shown["node"]["name"]) == (1, "us-east-1", "node-1")
        assert shown["identities"][0]["secret_access_key"] == "***"
    shown = MessageToDict(file.config)
    assert (file.generation, shown["region"]) == (0, "${env:REGION}")
    assert shown["identities"][0]["secret_access_key"] == "***"
    assert SECRET not in f"{runtime}{effective}{file}"


def test_a_difference_is_told_before_it_counts(plane: RunningPlane, client: Client) -> None:
    edit(plane, "node: {name", "region: eu-test-1\nnode: {name")
    edit(plane, 'metrics: "127.0.0.1:0"', 'metrics: "127.0.0.1:0", domains: [s3.example.org]')

    changes = client("config", config_service_pb2.DiffConfigRequest()).changes

    assert [(each.path, each.effect) for each in changes] == [
        ("region", config_pb2.CONFIG_EFFECT_LIVE),
        ("listen.domains", config_pb2.CONFIG_EFFECT_PROCESS_RESTART),
    ]
    assert "listen.domains: counts after a process restart" in reload(client).warnings


def test_history_is_kept_and_gone_back_in(plane: RunningPlane, client: Client) -> None:
    edit(plane, "node: {name", "region: eu-test-1\nnode: {name")
    reload(client)

    back = client("config", config_service_pb2.RollbackConfigRequest(generation=1, wait=True))

    assert (back.generation, back.committed) == (3, True)
    assert [each.path for each in back.changes] == ["region"]
    assert plane.opened.settings.live.region == "us-east-1"
    listed = client("config", config_service_pb2.ListConfigGenerationsRequest()).generations
    assert [
        (each.name, each.author, each.from_file, list(each.changed_paths), each.change_count)
        for each in listed
    ] == [
        ("configGenerations/3", "local", False, ["region"], 1),
        ("configGenerations/2", "local", True, ["region"], 1),
        ("configGenerations/1", "file", True, [], 0),
    ]
    first = client("config", config_service_pb2.ListConfigGenerationsRequest(page_size=2))
    rest = client(
        "config",
        config_service_pb2.ListConfigGenerationsRequest(page_size=2, page_token=first.next_page_token),
    )
    assert [each.generation for each in (*first.generations, *rest.generations)] == [3, 2, 1]
    assert not rest.next_page_token
    shown = client("config", config_service_pb2.GetConfigGenerationRequest(name="configGenerations/2"))
    assert [each.new_value.string_value for each in shown.changes] == ["eu-test-1"]
    assert MessageToDict(shown.config)["region"] == "eu-test-1"
    assert SECRET not in str(shown)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (config_service_pb2.RollbackConfigRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (config_service_pb2.RollbackConfigRequest(generation=-1), grpc.StatusCode.INVALID_ARGUMENT),
        (config_service_pb2.RollbackConfigRequest(generation=9), grpc.StatusCode.NOT_FOUND),
        (config_service_pb2.DiffConfigRequest(from_generation=9), grpc.StatusCode.NOT_FOUND),
        (config_service_pb2.DiffConfigRequest(from_generation=-9), grpc.StatusCode.INVALID_ARGUMENT),
        (config_service_pb2.DiffConfigRequest(to_generation=2**62), grpc.StatusCode.NOT_FOUND),
        (config_service_pb2.GetConfigGenerationRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (
            config_service_pb2.GetConfigGenerationRequest(name="configGenerations/x"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            config_service_pb2.GetConfigGenerationRequest(name="configGenerations/9"),
            grpc.StatusCode.NOT_FOUND,
        ),
        (
            config_service_pb2.ListConfigGenerationsRequest(page_token="eA=="),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (config_service_pb2.ListConfigGenerationsRequest(page_size=-1), grpc.StatusCode.INVALID_ARGUMENT),
        (
            config_service_pb2.GetConfigRequest(view=99),  # type: ignore[arg-type]
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ],
)
def test_what_is_not_there_is_named(client: Client, request_: Any, code: grpc.StatusCode) -> None:
    assert failure(lambda: client("config", request_)).code is code


def test_who_watches_learns_of_a_generation(plane: RunningPlane, client: Client) -> None:
    with plane.channel(socket="viewer") as channel:
        stub = config_service_pb2_grpc.ConfigServiceStub(channel)
        watching: Any = stub.WatchConfig(config_service_pb2.WatchConfigRequest(), timeout=20)
        first = next(watching)
        edit(plane, "node: {name", "region: eu-test-1\nnode: {name")
        reload(client)

        seen = [next(watching)]
        while [each.generation for each in seen[-1].processes] != [2]:
            seen.append(next(watching))
        watching.cancel()

    assert (first.generation, [each.generation for each in first.processes]) == (1, [1])
    assert seen[-1].generation == 2
    assert seen[-1].processes[0].state == config_pb2.CONFIG_PROCESS_STATE_APPLIED


def test_a_level_of_the_log_and_workers_change_live(plane: RunningPlane, client: Client) -> None:
    edit(
        plane,
        "node: {name",
        "telemetry: {log_level: warning}\nworkers: {cleanup: {interval: 7s}}\nnode: {name",
    )
    before = logging.getLogger().level
    try:
        reload(client, wait=True)

        assert logging.getLogger().level == logging.WARNING
    finally:
        logging.getLogger().setLevel(before)
    worker = client("worker", worker_service_pb2.GetWorkerRequest(name="workers/cleanup")).worker
    assert worker.interval.seconds == 7
