"""The document of a generation: the same settings come back, and no literal secret stands in it."""

import json
from pathlib import Path

import pytest

from engine.errors import InvalidConfig, SealBroken
from engine.settings import LiveSettings, live_from_document, live_to_document
from tests.unit.engine.settings.conftest import MINIMAL, Load

SECRET = "kept-to-itself-0123456789"
RICH = (
    MINIMAL
    + f"""\
    failure_domain: a
    quota_bytes: 10GiB
  - {{name: v2, kind: volume, path: v2, failure_domain: b}}
region: eu-west-3
storage: {{default_scheme: copies(2), seal: all, write_quorum: 1, read_grace: 90s, chunk_bytes: 8MiB}}
routing: pack
identities:
  - {{name: a, account: main, access_key_id: AKIA1, secret_access_key: {SECRET}, role: writer, buckets: [abc]}}
  - {{name: b, account: main, access_key_id: AKIA2, secret_access_key: "${{env:B}}", role: reader}}
  - {{name: d, account: main, access_key_id: AKIA4, secret_access_key: "$${{literal-with-dollars}}", role: reader}}
admin_tokens: [{{name: t, role: operator, sha256: {"ab" * 32}, scopes: [X/*], expires: 2027-01-31T00:00:00+01:00}}]
buckets: [{{name: abc, account: main, scheme: copies(2), seal: none, quota_bytes: "${{QUOTA}}"}}]
admission: {{wait: 50ms}}
workers: {{cleanup: {{interval: 5s}}, reaper: {{enabled: false}}}}
telemetry: {{log_level: debug}}
"""
)
ENVIRON = {"B": "out-of-the-environment-1234", "QUOTA": "3GiB"}


def seal(plain: bytes) -> bytes:
    return b"sealed:" + bytes(byte ^ 0x5A for byte in plain)


def open_sealed(stored: bytes) -> bytes:
    if not stored.startswith(b"sealed:"):
        raise SealBroken
    return bytes(byte ^ 0x5A for byte in stored.removeprefix(b"sealed:"))


def read(document: object, folder: Path, environ: dict[str, str] = ENVIRON) -> LiveSettings:
    stored = json.loads(json.dumps(document))
    return live_from_document(stored, open_sealed, environ=environ, folder=folder)


def test_settings_come_back_equal_from_their_document(load: Load, folder: Path) -> None:
    live = load(RICH, ENVIRON).live

    assert read(live_to_document(live, seal), folder) == live


def test_defaults_come_back_equal_too(load: Load, folder: Path) -> None:
    live = load(MINIMAL).live

    assert read(live_to_document(live, seal), folder) == live


def test_writing_a_document_again_gives_the_same_document(load: Load, folder: Path) -> None:
    document = live_to_document(load(RICH, ENVIRON).live, seal)

    assert live_to_document(read(document, folder), seal) == document


def test_no_literal_secret_and_no_value_of_a_reference_stands_in_the_document(load: Load) -> None:
    text = json.dumps(live_to_document(load(RICH, ENVIRON).live, seal))

    for hidden in (SECRET, "literal-with-dollars", ENVIRON["B"]):
        assert hidden not in text


def test_references_stay_references(load: Load) -> None:
    document = live_to_document(load(RICH, ENVIRON).live, seal)

    assert document["identities"][1]["secret_access_key"] == "${env:B}"
    assert document["buckets"][0]["quota_bytes"] == "${QUOTA}"


def test_a_reference_means_what_it_means_where_the_document_is_read(load: Load, folder: Path) -> None:
    document = live_to_document(load(RICH, ENVIRON).live, seal)

    live = read(document, folder, {**ENVIRON, "B": "another-environment-567"})

    assert live.identities[1].secret_access_key.reveal() == "another-environment-567"
    assert live.identities[0].secret_access_key.reveal() == SECRET


def test_a_reference_without_value_here_is_told_by_its_place(load: Load, folder: Path) -> None:
    document = live_to_document(load(RICH, ENVIRON).live, seal)

    with pytest.raises(
        InvalidConfig, match=r"identities\[1\].secret_access_key: the environment variable B is not set"
    ):
        read(document, folder, {"QUOTA": "1"})


def test_a_document_of_a_newer_version_is_refused_and_not_guessed_at(load: Load, folder: Path) -> None:
    document = live_to_document(load(MINIMAL).live, seal)

    with pytest.raises(InvalidConfig, match="unknown key"):
        read({**document, "teleport": {}}, folder)


def test_a_seal_that_does_not_open_passes_through(load: Load, folder: Path) -> None:
    document = live_to_document(load(RICH, ENVIRON).live, seal)
    document["identities"][0]["secret_access_key"] = {"sealed": "AAAA"}

    with pytest.raises(SealBroken):
        read(document, folder)


def test_the_sealed_form_is_not_accepted_in_a_file(load: Load) -> None:
    text = RICH.replace(f"secret_access_key: {SECRET}", "secret_access_key: {sealed: c2VhbGVkOg==}")

    with pytest.raises(InvalidConfig):
        load(text, ENVIRON)


def test_two_settings_that_differ_in_a_reference_only_are_not_equal(load: Load) -> None:
    literal = load(MINIMAL + "region: eu-west-3\n").live
    referring = load(MINIMAL + "region: ${R}\n", {"R": "eu-west-3"}).live

    assert literal != referring
