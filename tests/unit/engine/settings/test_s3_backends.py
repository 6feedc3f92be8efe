"""Backends of kind s3: what they need, what they refuse, and that their secrets show nowhere."""

import json
from pathlib import Path

import pytest

from engine.backends.s3.presets import PRESETS
from engine.deployment.places import s3_place
from engine.settings import live_from_document, live_to_document
from engine.settings.storage import PRESET_NAMES
from tests.unit.engine.settings.conftest import MINIMAL, Load, Refused
from tests.unit.engine.settings.test_documents import open_sealed, seal

KEYS = "access_key_id: AKIAFAR, secret_access_key: short"
FAR = "kind: s3, endpoint: 'http://127.0.0.1:9000', bucket: pieces"


def with_backend(text: str) -> str:
    return MINIMAL + f"  - {{name: far, {text}}}\n"


def test_an_s3_backend_fails_by_itself_and_keeps_its_defaults(load: Load) -> None:
    far = load(with_backend(f"{FAR}, {KEYS}")).live.backends[1]

    place = s3_place(far)
    assert (far.failure_domain, far.node) == ("far", None)
    assert (place.region, place.preset, place.prefix) == ("us-east-1", "generic", "")
    assert place.path_of("a/b") == "/pieces/a/b"


def test_a_secret_of_a_store_may_be_short_and_shows_nowhere(load: Load, folder: Path) -> None:
    live = load(with_backend(f"{FAR}, access_key_id: AKIAFAR, secret_access_key: kept-to-itself")).live

    document = live_to_document(live, seal)

    assert "kept-to-itself" not in f"{live!r}{json.dumps(document)}{s3_place(live.backends[1])!r}"
    assert live_from_document(document, open_sealed, environ={}, folder=folder) == live


def test_amazon_needs_no_endpoint_and_has_the_bucket_before_the_host(load: Load) -> None:
    text = with_backend("kind: s3, preset: aws, region: eu-west-3, bucket: pieces, prefix: a/b")

    place = s3_place(load(text).live.backends[1])

    assert place.host_header == "pieces.s3.eu-west-3.amazonaws.com"
    assert place.path_of("x") == "/a/b/x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: s3, endpoint: 'http://h'", "needs a bucket"),
        ("kind: s3, bucket: pieces", "needs an endpoint"),
        (f"{FAR}, access_key_id: AKIAFAR", "together"),
        (f"{FAR}, {KEYS}, profile: p", "not both"),
        (f"{FAR}, ca: ca.pem", "https"),
        (f"{FAR}, path: v2", "volumes"),
        ("kind: volume, path: v2, bucket: pieces", "kind s3"),
        (f"{FAR}, prefix: a/", "a prefix is"),
        (f"{FAR}, prefix: a/../b", "a prefix is"),
        (f"{FAR}, preset: acme", "expected generic or aws"),
        ("kind: s3, endpoint: 'ftp://h', bucket: pieces", "an endpoint is"),
    ],
)
def test_what_an_s3_backend_cannot_be_is_refused(refused: Refused, text: str, message: str) -> None:
    ((line, path, found),) = refused(with_backend(text))

    assert line == 13
    assert path.startswith("backends[1]")
    assert message in found


@pytest.mark.parametrize("prefixes", [("", "a"), ("a", "a"), ("a/b", "a")])
def test_prefixes_that_overlap_are_refused(refused: Refused, prefixes: tuple[str, str]) -> None:
    lines = "".join(
        f"  - {{name: far-{number}, {FAR}{f', prefix: {prefix}' if prefix else ''}}}\n"
        for number, prefix in enumerate(prefixes)
    )

    ((line, path, message),) = refused(MINIMAL + lines)

    assert (line, path) == (14, "backends[2].prefix")
    assert "overlaps" in message


def test_prefixes_beside_each_other_are_fine(load: Load) -> None:
    text = MINIMAL + f"  - {{name: x, {FAR}, prefix: a}}\n  - {{name: y, {FAR}, prefix: ab}}\n"

    assert len(load(text).live.backends) == 3


def test_an_authority_that_cannot_be_read_is_told(refused: Refused) -> None:
    text = with_backend("kind: s3, endpoint: 'https://h', bucket: pieces, ca: nowhere.pem")

    ((_, path, message),) = refused(text)

    assert path == "backends[1].ca"
    assert "nowhere.pem" in message


def test_every_preset_has_its_quirks() -> None:
    assert set(PRESET_NAMES) == set(PRESETS)
