"""Storage keys of imported objects: each tells its object and ETag again, and begins as no other object's does."""

import pytest

from engine.imported import ImportedObject, is_imported, loggable, read_imported, storage_keys_of
from engine.metadata.volumes import volume_of

KEYS = [
    "a",
    "photos/2024/jun 1.jpg",
    "a|b",
    "a%7Cb",
    "100%",
    "|",
    "ключ/ß",
    "imported:x|y",
    "a|b|c%",
    "~",
    "+",
]
ETAGS = ["0" * 32, "0123456789abcdef-17", "odd|tag", 'w"x', "%41", "ü"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("etag", ETAGS)
def test_a_storage_key_tells_its_object_again(key: str, etag: str) -> None:
    named = ImportedObject(key=key, etag=etag)

    assert read_imported(named.storage_key) == named
    assert is_imported(named.storage_key)
    assert named.storage_key.startswith(storage_keys_of(key))
    assert volume_of(named.storage_key) is None


def test_no_object_s_storage_keys_begin_as_another_s() -> None:
    for one in KEYS:
        for other in KEYS:
            keys = [ImportedObject(key=other, etag=etag).storage_key for etag in ETAGS]
            assert all(key.startswith(storage_keys_of(one)) == (one == other) for key in keys)


@pytest.mark.parametrize("key", ["pieces/ab/00000000000000000000000000000000", "0" * 32 + ":0000000040", ""])
def test_a_piece_of_ours_is_none(key: str) -> None:
    assert read_imported(key) is None
    assert not is_imported(key)


def test_logs_tell_no_key_of_an_object() -> None:
    assert loggable(ImportedObject(key="who/she/was", etag="e1").storage_key) == "imported:|e1"
    assert loggable("pieces/ab/1") == "pieces/ab/1"
