"""A text that is sent becomes the next generation; what it may not become changes nothing, and tells nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from penstock.admin.v1 import config_pb2, config_service_pb2, config_service_pb2_grpc, log_service_pb2

from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, bearer, failure, put_object, write_config

SECRET = "an-s3-secret-of-a-client-0123456789"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    (tmp_path / "secret").write_text("Content Of A File")
    with RunningPlane(write_config(tmp_path)) as plane:
        yield plane


def text_of(plane: RunningPlane) -> str:
    return plane.config.read_text()


def live_of(plane: RunningPlane) -> str:
    """The same without settings of the node."""
    lines = text_of(plane).splitlines()
    return (
        "\n".join(line for line in lines if not line.startswith(("node:", "listen:", "database:", "keys:")))
        + "\n"
    )


def apply(client: Client, raw: str, **options: Any) -> Any:
    return client("config", config_service_pb2.ApplyConfigRequest(raw=raw, **options))


@pytest.mark.parametrize("text", [text_of, live_of])
def test_a_text_becomes_the_next_generation(plane: RunningPlane, client: Client, text: Any) -> None:
    before = plane.config.read_bytes()

    answer = apply(client, "region: eu-test-1\n" + text(plane), wait=True)

    assert (answer.generation, answer.committed) == (2, True)
    assert [(each.path, each.effect) for each in answer.changes] == [
        ("region", config_pb2.CONFIG_EFFECT_LIVE)
    ]
    assert [each.state for each in answer.processes] == [config_pb2.CONFIG_PROCESS_STATE_APPLIED]
    assert plane.opened.settings.live.region == "eu-test-1"
    assert plane.config.read_bytes() == before
    (newest, _) = client("config", config_service_pb2.ListConfigGenerationsRequest()).generations
    assert (newest.author, newest.from_file) == ("local", False)


def test_a_comment_stays_with_its_generation(plane: RunningPlane, client: Client) -> None:
    apply(client, "region: eu-test-1\n" + live_of(plane), comment="closer to its clients ", wait=True)
    apply(client, live_of(plane), wait=True)

    listed = client("config", config_service_pb2.ListConfigGenerationsRequest()).generations
    got = client("config", config_service_pb2.GetConfigGenerationRequest(name="configGenerations/2"))
    refused = failure(lambda: apply(client, live_of(plane), comment="two\nlines"))
    long = failure(lambda: apply(client, live_of(plane), comment="x" * 1001))

    assert [each.comment for each in listed] == ["", "closer to its clients", ""]
    assert got.generation.comment == "closer to its clients"
    assert list(refused.fields) == list(long.fields) == ["comment"]


def test_a_look_changes_nothing(plane: RunningPlane, client: Client) -> None:
    answer = apply(client, "region: eu-test-1\n" + live_of(plane), validate_only=True)

    assert (answer.generation, answer.committed, len(answer.changes)) == (1, False, 1)
    assert not answer.processes
    assert plane.opened.settings.live.region == "us-east-1"


def test_what_is_so_already_makes_no_generation(plane: RunningPlane, client: Client) -> None:
    answer = apply(client, live_of(plane), wait=True)

    assert (answer.generation, answer.committed, list(answer.changes)) == (1, False, [])


def test_every_problem_has_its_line(plane: RunningPlane, client: Client) -> None:
    raw = live_of(plane) + "region: 'no region!'\nunheard_of: 1\n"
    line = raw.count("\n")

    failed = failure(lambda: apply(client, raw))

    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_CONFIG")
    assert failed.fields["region"].startswith(f"line {line - 1}: ")
    assert failed.fields["unheard_of"] == f"line {line}: unknown key"


def test_other_settings_of_the_node_are_refused_with_their_lines(plane: RunningPlane, client: Client) -> None:
    raw = "region: eu-test-1\n" + text_of(plane).replace('metrics: "127.0.0.1:0"', 'metrics: "127.0.0.1:9"')

    failed = failure(lambda: apply(client, raw))

    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.fields["listen.metrics"].startswith("line 3: a setting of the node")
    assert plane.opened.settings.live.region == "us-east-1"


def test_a_backend_that_holds_pieces_cannot_be_left_out(plane: RunningPlane, client: Client) -> None:
    for number in range(8):
        put_object(plane.opened, "photos", f"{number}", b"x" * 100_000)
    raw = "".join(line for line in live_of(plane).splitlines(keepends=True) if "name: v1" not in line)

    failed = failure(lambda: apply(client, raw))

    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "line 1: 'v1' holds pieces of objects" in failed.fields["backends"]


def test_a_generation_that_nobody_expected_is_not_overwritten(plane: RunningPlane, client: Client) -> None:
    apply(client, "region: eu-test-1\n" + live_of(plane), base_generation=1, wait=True)

    failed = failure(lambda: apply(client, "region: eu-test-2\n" + live_of(plane), base_generation=1))

    assert (failed.code, failed.reason) == (grpc.StatusCode.ABORTED, "CONCURRENT_WRITE")
    assert plane.opened.settings.live.region == "eu-test-1"


@pytest.mark.parametrize("raw", ["", " \n"])
def test_no_text_is_no_configuration(client: Client, raw: str) -> None:
    assert list(failure(lambda: apply(client, raw)).fields) == ["raw"]


def test_a_refusal_tells_nothing_of_what_references_stand_for(plane: RunningPlane, client: Client) -> None:
    raw = 'region: "${file:secret}"\n' + live_of(plane)

    for refused in (
        failure(lambda: apply(client, raw)),
        failure(lambda: client("config", config_service_pb2.DiffConfigRequest(raw=raw))),
    ):
        assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "Content Of A File" not in refused.text + str(refused.fields)
        assert "${file:secret}" in refused.fields["region"]


def test_the_text_is_in_no_audit_and_its_secrets_in_no_answer(plane: RunningPlane, client: Client) -> None:
    identity = (
        f"{{name: app, account: main, access_key_id: AKAPP0000000000000001, secret_access_key: {SECRET}}}"
    )
    raw = live_of(plane) + f"identities: [{identity}]\n"

    answer = apply(client, raw.replace("secret_access_key", "role: writer, secret_access_key"), wait=True)
    events = client("log", log_service_pb2.ListAuditEventsRequest(method="ConfigService/ApplyConfig")).events

    assert answer.committed
    assert [each.outcome for each in events] == ["OK", "BEGUN"]
    assert '"raw":"***"' in events[1].detail
    assert SECRET not in f"{answer}{events}"
    row = plane.opened.store.read(lambda tx: tx.rows("find_newest_generation", {}))
    assert SECRET not in str(row)


def test_a_text_is_compared_before_it_counts(plane: RunningPlane, client: Client) -> None:
    raw = "region: eu-test-1\n" + text_of(plane).replace(
        'metrics: "127.0.0.1:0"', 'metrics: "127.0.0.1:0", domains: [s3.example.org]'
    )

    changes = client("config", config_service_pb2.DiffConfigRequest(raw=raw)).changes
    both = failure(lambda: client("config", config_service_pb2.DiffConfigRequest(raw=raw, to_generation=1)))

    assert [each.path for each in changes] == ["region", "listen.domains"]
    assert list(both.fields) == ["raw"]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_text_of_who_is_no_admin_is_not_looked_into(plane: RunningPlane, role: str) -> None:
    request = config_service_pb2.DiffConfigRequest(raw='region: "${file:/etc/hostname}"\n')
    with plane.channel() as channel:
        stub = config_service_pb2_grpc.ConfigServiceStub(channel)
        refused = failure(lambda: stub.DiffConfig(request, metadata=bearer(role), timeout=10))

    assert refused.code is grpc.StatusCode.PERMISSION_DENIED


def test_of_each_value_it_is_told_who_says_it(plane: RunningPlane, client: Client) -> None:
    (plane.config.parent / "region").write_text("eu-test-1")
    apply(client, 'region: "${file:region}"\nrouting: pack\n' + live_of(plane), wait=True)

    for view in (config_pb2.CONFIG_VIEW_EFFECTIVE, config_pb2.CONFIG_VIEW_RUNTIME):
        shown = client("config", config_service_pb2.GetConfigRequest(view=view))
        sources = {each.path: each for each in shown.sources}

        assert sources["region"].reference == "${file:region}"
        assert sources["region"].provenance == config_pb2.CONFIG_PROVENANCE_REFERENCE
        assert sources["routing"].provenance == config_pb2.CONFIG_PROVENANCE_API
        assert sources["node.name"].provenance == config_pb2.CONFIG_PROVENANCE_FILE
        assert sources["storage.chunk_bytes"].provenance == config_pb2.CONFIG_PROVENANCE_DEFAULT
        assert sources["backends[v1].path"].provenance == config_pb2.CONFIG_PROVENANCE_API
    assert not client("config", config_service_pb2.GetConfigRequest(view=config_pb2.CONFIG_VIEW_FILE)).sources
