"""A store that lies: every lie of the operations' list is found out at the write, at the reading, or changes nothing.

What it gives back is verified above the backend, as every reader does it; bytes that do not verify count as found out.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from engine.backends.copying import SourceFailed, verified_blocks
from engine.backends.s3.backend import S3Backend
from engine.clock import uuid7
from engine.errors import (
    BackendError,
    BackendFull,
    BackendTimeout,
    BackendUnavailable,
    PieceCorrupt,
    PieceMissing,
)
from engine.units import BLOCK_BYTES, KIB, MIB
from tests.support.fault_proxy import FaultProxy
from tests.support.lies import LIES, is_listing, older_object
from tests.support.pieces import payload_of, tail_of
from tests.support.s3_stores import RcloneStore, make_s3_backend

HELD, STREAMED = 10 * KIB, 600 * KIB
CALL_MAX_S = 8.0

WRITES: dict[str, type[BackendError] | None] = {
    "keeps-nothing": None,
    "reply-lost": BackendTimeout,
    "lands-late": BackendTimeout,
    "bit-flipped-in-storing": BackendError,
    "lying-etag": PieceCorrupt,
    "html-503": BackendTimeout,
    "redirects": BackendUnavailable,
    "error-never-ends": BackendTimeout,
    "quota-exceeded": BackendFull,
    "keys-revoked": BackendUnavailable,
    "refuses": BackendTimeout,
}
"""What a write that is lied about ends with; null: it looks as if all were well. Other lies are not about writes."""

READS: dict[str, type[BackendError]] = {
    "cut": BackendUnavailable,
    "cut-cleanly": BackendUnavailable,
    "lost-its-end": PieceCorrupt,
    "bit-flipped": PieceCorrupt,
    "other-bytes": PieceCorrupt,
    "older-object": PieceCorrupt,
    "not-there-yet": PieceMissing,
    "html-503": BackendUnavailable,
    "redirects": BackendUnavailable,
    "gzip-bomb": BackendError,
    "never-ends": PieceCorrupt,
    "error-never-ends": BackendUnavailable,
    "keys-revoked": BackendUnavailable,
    "refuses": BackendUnavailable,
}
"""What a reading that is lied to ends with. All other lies are not about readings, or change nothing there."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RcloneStore]:
    with RcloneStore(tmp_path_factory.mktemp("rclone")) as store:
        yield store


@pytest.fixture(scope="module")
def way(store: RcloneStore) -> Iterator[FaultProxy]:
    at = urlsplit(store.place.endpoint)
    assert at.hostname is not None
    assert at.port is not None
    with FaultProxy(at.hostname, at.port) as way:
        yield way


@pytest.fixture
def backend(store: RcloneStore, way: FaultProxy) -> Iterator[S3Backend]:
    place = replace(store.place, endpoint=way.endpoint, prefix=f"lies/{uuid7().hex()}")
    backend = make_s3_backend(place)
    backend.register(created_at_us=1_700_000_000_000_000)
    yield backend
    way.clear()
    backend.close()


def fresh_key() -> str:
    return f"pieces/00/{uuid7().hex()}"


def write(backend: S3Backend, payload: bytes, key: str) -> None:
    tail = tail_of(payload)
    if len(payload) <= HELD:
        backend.store(memoryview(payload), tail, storage_key=key)
        return
    writer = backend.open_writer(len(payload), len(tail.card), storage_key=key)
    try:
        for start in range(0, len(payload), BLOCK_BYTES):
            writer.write(memoryview(payload)[start : start + BLOCK_BYTES])
        writer.finish(tail)
    finally:
        writer.abort()


def read(backend: S3Backend, payload: bytes, key: str) -> bytes:
    found = bytearray()
    crcs = tail_of(payload).block_crcs
    try:
        for block in verified_blocks(backend, key, len(payload), crcs, buffer=bytearray(BLOCK_BYTES)):
            found += block
    except SourceFailed as failure:
        raise failure.error from failure
    return bytes(found)


@pytest.mark.parametrize("size", [HELD, STREAMED])
@pytest.mark.parametrize("name", LIES)
def test_a_write_that_is_lied_about_is_none_or_shows_at_its_reading(
    backend: S3Backend, way: FaultProxy, name: str, size: int
) -> None:
    payload, key = payload_of(size), fresh_key()
    way.add(LIES[name].fault, which=LIES[name].which)
    wanted = WRITES.get(name)
    began_s = time.monotonic()

    if wanted is not None:
        with pytest.raises(wanted):
            write(backend, payload, key)
    else:
        write(backend, payload, key)

    assert time.monotonic() - began_s < CALL_MAX_S
    way.clear()
    if name == "keeps-nothing":
        with pytest.raises(PieceMissing):
            read(backend, payload, key)
    elif wanted is None:
        assert read(backend, payload, key) == payload


@pytest.mark.parametrize("size", [HELD, STREAMED])
@pytest.mark.parametrize("name", LIES)
def test_a_reading_that_is_lied_to_finds_it_out(
    backend: S3Backend, way: FaultProxy, name: str, size: int
) -> None:
    payload, key = payload_of(size), fresh_key()
    write(backend, payload, key)
    way.add(LIES[name].fault, which=LIES[name].which)
    began_s = time.monotonic()

    if name in READS:
        with pytest.raises(READS[name]):
            read(backend, payload, key)
    else:
        assert read(backend, payload, key) == payload

    assert time.monotonic() - began_s < CALL_MAX_S
    way.clear()
    assert read(backend, payload, key) == payload


def test_an_older_object_with_a_tail_of_its_own_has_none_for_us(
    backend: S3Backend, store: RcloneStore, way: FaultProxy
) -> None:
    older, payload = payload_of(HELD, seed=1), payload_of(HELD, seed=2)
    older_key, key = fresh_key(), fresh_key()
    write(backend, older, older_key)
    write(backend, payload, key)
    (file,) = (store.folder / "data").rglob(older_key.rpartition("/")[2])
    way.add(older_object(file.read_bytes()))

    with pytest.raises(PieceCorrupt):
        backend.read_tail(key, HELD)
    with pytest.raises(PieceCorrupt):
        read(backend, payload, key)


def test_a_listing_that_hides_what_is_there_lets_nobody_take_the_prefix(
    store: RcloneStore, way: FaultProxy
) -> None:
    place = replace(store.place, endpoint=way.endpoint, prefix=f"taken/{uuid7().hex()}")
    first = make_s3_backend(place)
    first.register(created_at_us=1)
    other = make_s3_backend(place, identity_id=b"another--------1")
    way.add(LIES["lists-nothing"].fault, which=is_listing)
    try:
        with pytest.raises(BackendError):
            other.register(created_at_us=2)
        first.check_identity()
    finally:
        way.clear()
        first.close()
        other.close()


def test_every_letter_of_the_list_has_its_lie() -> None:
    told = {letter for lie in LIES.values() for letter in lie.letters}

    assert told == set("abcdefghijklmnop")
    assert (set(WRITES) | set(READS)) <= set(LIES)
    # These change nothing for pieces: see above.
    assert set(LIES) - set(WRITES) - set(READS) == {"lists-nothing", "twice", "clock-of-1970"}


def test_a_large_reading_that_never_ends_is_left_where_it_was_meant_to_end(
    backend: S3Backend, way: FaultProxy
) -> None:
    payload, key = payload_of(3 * MIB), fresh_key()
    write(backend, payload, key)
    way.add(LIES["never-ends"].fault, which=LIES["never-ends"].which)

    with pytest.raises(PieceCorrupt):
        read(backend, payload, key)
