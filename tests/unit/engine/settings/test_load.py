"""Loading a configuration: defaults, every problem at once with its line, and refusals by name."""

import os
from pathlib import Path

import pytest

from engine.errors import InvalidConfig
from engine.records import Copies, Sealing
from engine.settings import load_settings
from engine.settings.database import SqliteSettings
from tests.unit.engine.settings.conftest import MINIMAL, Load, Refused

IDENTITY = """\
identities:
  - name: alice
    account: main
    access_key_id: AKIAALICE
    secret_access_key: {secret}
    role: writer
"""
DIGEST = "ab" * 32


def test_a_minimal_file_gets_the_documented_defaults(load: Load, folder: Path) -> None:
    settings = load(MINIMAL)

    assert settings.live.region == "us-east-1"
    assert settings.live.storage.chunk_bytes == 64 * 1024 * 1024
    assert settings.live.storage.default_scheme == Copies(count=1)
    assert settings.live.storage.seal is Sealing.NONE
    assert settings.live.storage.read_grace_s == 3600
    assert settings.node.processes.dataplane == len(os.sched_getaffinity(0))
    assert str(settings.node.listen.control) == "127.0.0.1:9001"
    assert settings.live.workers.of("cleanup").enabled


def test_relative_paths_start_at_the_file(load: Load, folder: Path) -> None:
    settings = load(MINIMAL)

    assert isinstance(settings.node.database, SqliteSettings)
    assert settings.node.database.path == folder / "metadata.sqlite"
    assert settings.live.backends[0].folder == folder / "v1"


def test_values_carry_their_units(load: Load) -> None:
    settings = load(MINIMAL + "admission: {wait: 250ms, memory_bytes: 1GiB}\nstorage: {read_grace: 5m}\n")

    assert settings.live.admission.wait_s == 0.25
    assert settings.live.admission.memory_bytes == 1 << 30
    assert settings.live.storage.read_grace_s == 300


def test_all_problems_are_told_at_once_in_the_order_of_lines(refused: Refused) -> None:
    problems = refused(
        MINIMAL
        + "listen: {control: 0.0.0.0:9001, s3: nowhere}\n"
        + "processes: {dataplane: 0, threads: 3}\n"
        + "routing: best\n"
        + "storage:\n"
        + "  chunk_bytes: 3MB\n"
        + "bogus: 1\n"
    )

    assert [(line, path) for line, path, _ in problems] == [
        (13, "listen.s3"),
        (14, "processes.dataplane"),
        (14, "processes.threads"),
        (15, "routing"),
        (17, "storage.chunk_bytes"),
        (18, "bogus"),
    ]


def test_an_unknown_key_is_refused_wherever_it_stands(refused: Refused) -> None:
    text = MINIMAL + "    weigth: 3\nlive: {}\n"

    assert refused(text) == [(13, "backends[0].weigth", "unknown key"), (14, "live", "unknown key")]


def test_the_internal_names_of_fields_are_no_keys(refused: Refused) -> None:
    assert refused(MINIMAL + "storage: {read_grace_s: 3}\n_references: {}\n") == [
        (13, "storage.read_grace_s", "unknown key"),
        (14, "_references", "unknown key"),
    ]


def test_what_is_missing_is_told_where_it_belongs(refused: Refused) -> None:
    problems = refused("node: {name: n1}\nkeys: {provider: file}\nbackends: []\n")

    assert (1, "node.state_dir", "is required") in problems
    assert (2, "keys.path", "is required") in problems
    assert (3, "backends", "at least one is needed") in problems
    assert (1, "database", "is required") in problems


def test_an_empty_section_asks_for_nothing(load: Load) -> None:
    assert load(MINIMAL + "identities:\nstorage:\nnotifications: []\n").live.identities == ()


@pytest.mark.parametrize(
    ("line", "path", "what"),
    [
        ("listen: {ui: '127.0.0.1:9002'}", "listen.ui", "listen.ui"),
        (
            "storage: {default_scheme: 'erasure(4,2)'}",
            "storage.default_scheme",
            "storage.default_scheme erasure(k,m)",
        ),
        ("storage: {dedup: bucket}", "storage.dedup", "storage.dedup"),
        (
            "storage: {snapshots: {}, journal_interval: 3s}",
            "storage.journal_interval",
            "storage.journal_interval",
        ),
        ("workers: {lifecycle: {interval: 1h}}", "workers.lifecycle", "workers.lifecycle"),
        ("workers: {mirror: {enabled: true}}", "workers.mirror", None),
        ("debug: {fault_points: [x]}", "debug.fault_points", "debug.fault_points"),
    ],
)
def test_what_is_not_built_is_refused_by_name(
    refused: Refused, line: str, path: str, what: str | None
) -> None:
    ((found_line, found_path, message),) = refused(MINIMAL + line + "\n")

    assert (found_line, found_path) == (13, path)
    assert message == f"not built yet: {what}" if what else message.startswith("not built yet: ")


def test_vault_is_not_built_yet(refused: Refused) -> None:
    text = MINIMAL.replace("provider: file", "provider: vault")

    messages = [message for _, _, message in refused(text)]

    assert "not built yet: keys.provider vault" in messages


@pytest.mark.parametrize(
    "secret",
    [
        "minioadmin",
        "admin",
        "penstock",
        "PENSTOCK",
        "penstockpenstock",
        "short-secret123",
        "a" * 40,
        "ababab" * 5,
    ],
)
def test_default_short_and_monotonous_secrets_are_refused_and_not_repeated(
    refused: Refused, secret: str
) -> None:
    ((line, path, message),) = refused(MINIMAL + IDENTITY.format(secret=secret))

    assert (line, path) == (17, "identities[0].secret_access_key")
    assert secret not in message.split()


def test_a_default_secret_is_refused_behind_a_reference_too(refused: Refused) -> None:
    assert refused(MINIMAL + IDENTITY.format(secret="${S}"), {"S": "minioadmin"})[0][0] == 17


def test_a_secret_of_digits_asks_for_quotes(refused: Refused) -> None:
    ((line, _, message),) = refused(MINIMAL + IDENTITY.format(secret="12345678901234567890"))

    assert line == 17
    assert "quotes" in message


def test_a_secret_is_literal_or_a_reference_and_not_both(refused: Refused) -> None:
    ((line, _, message),) = refused(
        MINIMAL + IDENTITY.format(secret="beginning-${S}"), {"S": "of-a-secret-1234567"}
    )

    assert line == 17
    assert "not both" in message


def test_secrets_do_not_show(load: Load) -> None:
    settings = load(MINIMAL + IDENTITY.format(secret="kept-to-itself-0123456789"))

    assert settings.live.identities[0].secret_access_key.reveal() == "kept-to-itself-0123456789"
    assert (
        "kept-to-itself"
        not in f"{settings} {settings!r} {settings.live.model_dump()} {settings.live.model_dump_json()}"
    )


def test_a_key_file_that_others_may_read_is_refused_with_its_line(refused: Refused, folder: Path) -> None:
    (folder / "master.key").chmod(0o644)

    ((line, path, message),) = refused(MINIMAL)

    assert (line, path) == (8, "keys.path")
    assert "0644" in message
    assert "chmod 600" in message


def test_a_missing_key_file_is_refused_and_not_made(refused: Refused, folder: Path) -> None:
    (folder / "master.key").unlink()

    assert refused(MINIMAL)[0][0] == 8
    assert not (folder / "master.key").exists()


@pytest.mark.parametrize("content", [b"", b"not base64!", b"c2hvcnQ=", b"A" * 100])
def test_a_key_file_without_a_key_is_refused(refused: Refused, folder: Path, content: bytes) -> None:
    (folder / "master.key").write_bytes(content)

    assert refused(MINIMAL)[0][:2] == (8, "keys.path")


def test_an_inline_key_may_come_from_the_environment(load: Load) -> None:
    text = MINIMAL.replace("provider: file", "provider: inline").replace(
        "path: master.key", "material: ${KEY}"
    )

    settings = load(text, {"KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="})

    assert "AAEC" not in repr(settings.node.keys)


@pytest.mark.parametrize("address", ["0.0.0.0:9001", ":9001", "[::]:9001", "control.example:9001"])
def test_the_control_api_listens_on_loopback_only(refused: Refused, address: str) -> None:
    ((line, path, message),) = refused(MINIMAL + f"listen: {{control: '{address}'}}\n")

    assert (line, path) == (13, "listen.control")
    assert "TLS" in message


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:9001", "localhost:9001"])
def test_loopback_addresses_are_accepted(load: Load, address: str) -> None:
    assert str(load(MINIMAL + f"listen: {{control: '{address}'}}\n").node.listen.control) == address


@pytest.mark.parametrize(
    "address", ["9000", "h:70000", "h:-1", "::1:9000", "[h]:1", "h:", "a b:1", "h:9000/x", "h:٣"]
)
def test_odd_addresses_are_refused(refused: Refused, address: str) -> None:
    assert refused(MINIMAL + f"listen: {{s3: '{address}'}}\n")[0][:2] == (13, "listen.s3")


def test_two_listeners_on_one_port_are_refused(refused: Refused) -> None:
    assert refused(MINIMAL + "listen: {s3: '127.0.0.1:9090'}\n") == [
        (13, "listen.metrics", "port 9090 is taken by listen.s3")
    ]


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="penstock init"):
        load_settings(tmp_path / "gone.yaml", {})


def test_what_is_there_and_cannot_be_read_needs_no_new_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig) as refusal:
        load_settings(tmp_path, {})

    assert "Is a directory" in str(refusal.value)
    assert "penstock init" not in str(refusal.value)


def test_what_is_no_text_is_told_in_one_line(refused: Refused) -> None:
    ((_, _, message),) = refused(MINIMAL + "\0")

    assert message.startswith("not YAML: unacceptable character")
    assert "\n" not in message


@pytest.mark.parametrize("value", ["2", "true", "[copies(2)]", "two", "copies(17)"])
def test_odd_schemes_are_refused_with_the_form_of_one(refused: Refused, value: str) -> None:
    assert refused(MINIMAL + f"storage: {{default_scheme: {value}}}\n") == [
        (13, "storage.default_scheme", "a scheme is copies(n) with n from 1 to 16")
    ]


@pytest.mark.parametrize(
    "value", ["-1", "1.5", "true", "64MB", "1e3", "'6 4MiB'", "[1]", "99999999TiB", "'٣'"]
)
def test_odd_sizes_are_refused(refused: Refused, value: str) -> None:
    assert refused(MINIMAL + f"    quota_bytes: {value}\n")[0][:2] == (13, "backends[0].quota_bytes")


@pytest.mark.parametrize("value", ["-1s", "true", "1 week", ".inf", ".nan", "1e9s", "[1]", "99999d"])
def test_odd_durations_are_refused(refused: Refused, value: str) -> None:
    assert refused(MINIMAL + f"storage: {{read_grace: {value}}}\n")[0][:2] == (13, "storage.read_grace")
