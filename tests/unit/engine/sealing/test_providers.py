"""The master key is taken from where the configuration says, or the start is refused with what to do."""

import base64
import os
from pathlib import Path

import pytest

from engine.errors import StartRefused, WrongKey
from engine.sealing.keyring import KeyRing, new_ring_key
from engine.sealing.providers import file_provider, inline_provider

KEY = bytes(range(32))
TEXT = base64.b64encode(KEY).decode()


def key_file(folder: Path, text: str = TEXT, mode: int = 0o600) -> Path:
    path = folder / "master.key"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("around", ["{}", "{}\n", "  {}\r\n"])
def test_the_same_key_opens_the_ring_from_a_file_and_inline(tmp_path: Path, around: str) -> None:
    record = new_ring_key(file_provider(key_file(tmp_path, around.format(TEXT))))

    ring = KeyRing([record], inline_provider(around.format(TEXT)))

    assert ring.primary.key_id == record.key_id
    assert record.provider == "file"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644, 0o777])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(StartRefused, match="chmod 600"):
        file_provider(key_file(tmp_path, mode=mode))


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_of_its_owner_alone_is_taken(tmp_path: Path, mode: int) -> None:
    assert file_provider(key_file(tmp_path, mode=mode)).name == "file"


def test_a_missing_key_file_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StartRefused):
        file_provider(tmp_path / "master.key")

    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "master.key", 0o600)

    with pytest.raises(StartRefused):
        file_provider(tmp_path / "master.key")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        "schlüssel",
        base64.b64encode(KEY[:31]).decode(),
        base64.b64encode(KEY + b"x").decode(),
        KEY.hex(),
        TEXT[:-1],
    ],
)
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StartRefused) as inline:
        inline_provider(text)
    with pytest.raises(StartRefused) as file:
        file_provider(key_file(tmp_path, text))

    for caught in (inline, file):
        assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "material", [bytes(32), b"\xff" * 32, b"changeme" * 4, b"0123456789a" * 2 + b"0" * 10]
)
def test_a_key_that_nobody_drew_is_refused(material: bytes) -> None:
    with pytest.raises(StartRefused, match="random"):
        inline_provider(base64.b64encode(material).decode())


def test_random_keys_are_never_refused_for_lack_of_variety() -> None:
    for _ in range(1000):
        inline_provider(base64.b64encode(os.urandom(32)).decode())


def test_another_providers_wrapping_does_not_open() -> None:
    wrapped = inline_provider(TEXT).wrap(bytes(32))

    with pytest.raises(WrongKey):
        inline_provider(base64.b64encode(KEY[::-1]).decode()).unwrap(wrapped)


def test_wrapping_the_same_twice_shows_nothing_of_it() -> None:
    provider = inline_provider(TEXT)

    assert provider.wrap(KEY) != provider.wrap(KEY)
