"""What stores say and do on a bad day, and what is made of it: each fact has one name."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from engine.backends.s3.backend import S3Backend
from engine.errors import (
    BackendError,
    BackendFull,
    BackendLate,
    BackendTimeout,
    BackendUnavailable,
    ForeignBackend,
    PieceCorrupt,
    PieceMissing,
)
from engine.settings.node import THREADS_STREAMING_MAX
from engine.units import BLOCK_BYTES, MIB
from tests.support.pieces import payload_of, tail_of
from tests.support.s3_stores import make_s3_backend
from tests.support.scripted_store import HANG_UP, ScriptedStore, answer, error, part

KEY = "pieces/ab/0123"
PAYLOAD = payload_of(1000)
MD5_OF_OTHERS = hashlib.md5(b"other bytes").hexdigest()

Scripted = Callable[..., tuple[ScriptedStore, S3Backend]]


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A store with its steps, and a backend that lies there."""
    opened: list[tuple[ScriptedStore, S3Backend]] = []

    def open_one(
        *steps: bytes, closes_after: set[int] | None = None, **options: Any
    ) -> tuple[ScriptedStore, S3Backend]:
        store = ScriptedStore(steps=list(steps), closes_after=closes_after or set())
        store.__enter__()
        backend = make_s3_backend(store.place, **options)
        opened.append((store, backend))
        return store, backend

    yield open_one
    for store, backend in opened:
        backend.close()
        store.__exit__()


def store_piece(backend: S3Backend) -> None:
    backend.store(memoryview(PAYLOAD), tail_of(PAYLOAD), storage_key=KEY)


def read_piece(backend: S3Backend, payload_bytes: int = 1000) -> bytes:
    buffer = bytearray(payload_bytes)
    reader = backend.open_reader(KEY, payload_bytes)
    try:
        reader.read_into(0, memoryview(buffer))
    finally:
        reader.close()
    return bytes(buffer)


@pytest.mark.parametrize(
    ("step", "kind", "says"),
    [
        (error(403, "AccessDenied"), BackendUnavailable, "look at its access key"),
        (error(403, "RequestTimeTooSkewed"), BackendUnavailable, "RequestTimeTooSkewed"),
        (error(507, "InsufficientStorage"), BackendFull, "InsufficientStorage"),
        (error(400, "QuotaExceeded"), BackendFull, "QuotaExceeded"),
        (error(503, "SlowDown"), BackendUnavailable, "SlowDown"),
        (answer(429), BackendUnavailable, "429"),
        (error(500, "InternalError"), BackendTimeout, "InternalError"),
        (answer(502, b"<html>not S3"), BackendTimeout, "502"),
        (error(404, "NoSuchBucket"), ForeignBackend, "right bucket"),
        (answer(307, location="http://127.0.0.1:1/"), BackendUnavailable, "307"),
        (answer(200, etag=f'"{MD5_OF_OTHERS}"'), PieceCorrupt, "not the MD5"),
        (b"SSH-2.0-OpenSSH\r\n", BackendTimeout, "not an answer"),
        (HANG_UP, BackendTimeout, "no answer"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else getattr(value, "__name__", value),
)
def test_a_refused_write_is_told_as_what_it_is(
    scripted: Scripted, step: bytes, kind: type[BackendError], says: str
) -> None:
    _, backend = scripted(step)

    with pytest.raises(kind, match=says):
        store_piece(backend)


def test_an_error_in_chunks_is_read_too(scripted: Scripted) -> None:
    body = b"<Error><Code>QuotaExceeded</Code></Error>"
    chunks = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (body[:9], body[9:]))
    _, backend = scripted(b"HTTP/1.1 403 X\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")

    with pytest.raises(BackendFull):
        store_piece(backend)


def test_a_document_with_entities_of_its_own_is_not_parsed(scripted: Scripted) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Error><Code>&a;</Code></Error>'
    _, backend = scripted(answer(403, bomb))

    with pytest.raises(BackendUnavailable):
        store_piece(backend)


def test_an_etag_that_is_no_md5_says_nothing(scripted: Scripted) -> None:
    _, backend = scripted(answer(200, etag='"0000-1"'))

    store_piece(backend)


def test_held_bytes_carry_their_md5_and_are_signed_without_tls(scripted: Scripted) -> None:
    store, backend = scripted(answer())

    store_piece(backend)

    (asked,) = store.asked
    assert asked.headers["x-amz-content-sha256"] == hashlib.sha256(asked.body).hexdigest()
    assert "content-md5" in asked.headers
    assert asked.body.startswith(PAYLOAD)


def test_held_bytes_are_no_part_of_the_signature_where_that_was_said(scripted: Scripted) -> None:
    store, signing = scripted(answer())
    signing.close()
    place = replace(store.place, unsigned_payload=True)
    backend = make_s3_backend(place)

    store_piece(backend)

    (asked,) = store.asked
    assert asked.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert asked.headers["content-md5"]
    backend.close()


def test_a_late_answer_is_no_failure_of_a_store_that_may_take_longer(scripted: Scripted) -> None:
    store, backend = scripted(part(PAYLOAD, 0, 1000))
    store.delays_s[0] = 1.0
    reader = backend.open_reader(KEY, 1000)

    with pytest.raises(BackendLate):
        reader.ask(0, 1000, patience_s=0.1)

    reader.close()


def test_a_write_is_late_for_whoever_has_another_place_for_it(scripted: Scripted) -> None:
    store, backend = scripted(answer(), answer())
    store.delays_s |= {0: 1.0, 1: 1.0}
    tail = tail_of(PAYLOAD)

    with pytest.raises(BackendLate):
        backend.store(memoryview(PAYLOAD), tail, storage_key=KEY, patience_s=0.1)
    writer = backend.open_writer(len(PAYLOAD), len(tail.card), storage_key=KEY, patience_s=0.1)
    writer.write(memoryview(PAYLOAD))
    with pytest.raises(BackendLate):
        writer.finish(tail)

    writer.abort()


def test_a_head_that_drips_is_waited_for_no_longer_than_one_that_does_not_come(scripted: Scripted) -> None:
    store, backend = scripted(part(PAYLOAD, 0, 1000))
    # No pause is long, and all of them would take longer than a test has.
    store.drip_s = 0.1
    reader = backend.open_reader(KEY, 1000)

    began_s = time.monotonic()
    with pytest.raises(BackendLate):
        reader.ask(0, 1000, patience_s=0.3)

    assert time.monotonic() - began_s < 2.0
    reader.close()


def test_bytes_that_were_asked_for_are_read_without_another_question(scripted: Scripted) -> None:
    store, backend = scripted(part(PAYLOAD, 0, 1000))
    reader = backend.open_reader(KEY, 1000)
    buffer = bytearray(1000)

    reader.ask(0, 1000, patience_s=5.0)
    assert reader.is_under_way(0, 600)
    assert not reader.is_under_way(1, 600)
    reader.read_into(0, memoryview(buffer)[:600])
    assert reader.is_under_way(600, 400)
    reader.read_into(600, memoryview(buffer)[600:])

    assert bytes(buffer) == PAYLOAD
    assert len(store.asked) == 1
    assert not reader.is_under_way(0, 600)
    reader.close()


def test_a_body_that_stops_is_late_for_whoever_asked_with_patience(scripted: Scripted) -> None:
    whole = part(PAYLOAD, 0, 1000)
    store, backend = scripted(whole[:-400])
    reader = backend.open_reader(KEY, 1000)
    reader.ask(0, 1000, patience_s=0.2)

    with pytest.raises(BackendLate):
        reader.read_into(0, memoryview(bytearray(1000)))

    assert len(store.asked) == 1
    reader.close()


def test_a_connection_of_bytes_asked_for_is_there_for_others_until_they_are_read(scripted: Scripted) -> None:
    store, backend = scripted(
        part(PAYLOAD, 0, 1000), part(PAYLOAD, 0, 1000), part(PAYLOAD, 0, 1000), connection_count_max=1
    )
    early = backend.open_reader(KEY, 1000)
    early.ask(0, 1000, patience_s=5.0)

    assert read_piece(backend) == PAYLOAD

    assert not early.is_under_way(0, 1000)
    buffer = bytearray(1000)
    early.read_into(0, memoryview(buffer))
    assert bytes(buffer) == PAYLOAD
    assert len(store.asked) == 3
    early.close()


def test_a_missing_piece_is_missing_only_where_the_store_is_ours(scripted: Scripted) -> None:
    _, backend = scripted(error(404, "NoSuchKey"), error(404, "NoSuchKey"))

    with pytest.raises(ForeignBackend):
        read_piece(backend)


def test_a_piece_shorter_than_its_payload_is_corrupt(scripted: Scripted) -> None:
    _, backend = scripted(part(PAYLOAD, 0, 900), error(416, "InvalidRange"))

    for _ in range(2):
        with pytest.raises(PieceCorrupt):
            read_piece(backend)


def test_an_answer_cut_short_is_no_short_read(scripted: Scripted) -> None:
    whole = part(PAYLOAD, 0, 1000)
    _, backend = scripted(whole[:-10], closes_after={0})

    with pytest.raises(BackendUnavailable, match="cut short"):
        read_piece(backend)


def test_a_long_read_that_breaks_goes_on_at_the_same_byte(scripted: Scripted) -> None:
    payload = payload_of(3 * MIB)
    # The first MiB, then the rest cut within its second block, then the rest from there.
    rest = part(payload, MIB, len(payload))
    head_bytes = len(rest) - 2 * MIB
    store, backend = scripted(
        part(payload, 0, MIB),
        rest[: head_bytes + BLOCK_BYTES + 1000],
        part(payload, MIB + BLOCK_BYTES, len(payload)),
        closes_after={1},
    )
    reader = backend.open_reader(KEY, len(payload))

    found = b""
    for start in range(0, len(payload), BLOCK_BYTES):
        block = bytearray(BLOCK_BYTES)
        reader.read_into(start, memoryview(block))
        found += block
    reader.close()

    assert found == payload
    assert [each.headers["range"] for each in store.asked] == [
        f"bytes=0-{MIB - 1}",
        f"bytes={MIB}-{3 * MIB - 1}",
        f"bytes={MIB + BLOCK_BYTES}-{3 * MIB - 1}",
    ]


def test_a_kept_connection_that_was_closed_costs_another_one_and_no_error(scripted: Scripted) -> None:
    store, backend = scripted(part(PAYLOAD, 0, 1000), part(PAYLOAD, 0, 1000), closes_after={0})

    assert read_piece(backend) == read_piece(backend) == PAYLOAD
    assert store.connection_count == 2


def test_a_kept_connection_that_closes_on_the_request_is_repeated_once(scripted: Scripted) -> None:
    store, backend = scripted(part(PAYLOAD, 0, 1000), HANG_UP, part(PAYLOAD, 0, 1000))

    assert read_piece(backend) == read_piece(backend) == PAYLOAD
    assert store.connection_count == 2


def test_a_new_connection_that_closes_on_the_request_is_not_tried_again(scripted: Scripted) -> None:
    store, backend = scripted(HANG_UP, part(PAYLOAD, 0, 1000))

    with pytest.raises(BackendUnavailable):
        read_piece(backend)
    assert len(store.asked) == 1


def test_a_stream_learns_why_the_store_stopped_listening(scripted: Scripted) -> None:
    store, backend = scripted()
    store.refuses_at_once = error(403, "AccessDenied")
    payload = payload_of(8 * MIB)
    writer = backend.open_writer(len(payload), 4, storage_key=KEY)

    def pour() -> None:
        for start in range(0, len(payload), BLOCK_BYTES):
            writer.write(memoryview(payload)[start : start + BLOCK_BYTES])
        writer.finish(tail_of(payload))

    with pytest.raises(BackendUnavailable, match="AccessDenied"):
        pour()
    writer.abort()


def test_a_reader_that_pauses_gives_its_connection_to_whoever_needs_one(scripted: Scripted) -> None:
    payload = payload_of(3 * MIB)
    _, backend = scripted(
        part(payload, 0, MIB),
        part(payload, MIB, len(payload)),
        part(payload, 0, MIB),
        part(payload, MIB + BLOCK_BYTES, len(payload)),
        connection_count_max=1,
    )
    pausing, other = backend.open_reader(KEY, len(payload)), backend.open_reader(KEY, len(payload))
    block = bytearray(BLOCK_BYTES)
    for start in range(0, MIB + BLOCK_BYTES, BLOCK_BYTES):
        pausing.read_into(start, memoryview(block))

    other.read_into(0, memoryview(block))
    assert block == payload[:BLOCK_BYTES]
    other.close()
    pausing.read_into(MIB + BLOCK_BYTES, memoryview(block))

    assert block == payload[MIB + BLOCK_BYTES : MIB + 2 * BLOCK_BYTES]
    pausing.close()


@pytest.mark.parametrize("code", ["NoSuchKey", ""])
def test_a_delete_of_what_is_not_there_is_done(scripted: Scripted, code: str) -> None:
    _, backend = scripted(error(404, code))

    if code:
        backend.delete(KEY, 10)
    else:
        # Whoever answers this knows nothing of keys.
        with pytest.raises(BackendUnavailable):
            backend.delete(KEY, 10)


def test_an_unanswered_delete_may_have_happened(scripted: Scripted) -> None:
    _, backend = scripted(HANG_UP)

    with pytest.raises(BackendTimeout):
        backend.delete(KEY, 10)


def test_nobody_listens(scripted: Scripted) -> None:
    store, backend = scripted()
    store.__exit__()

    with pytest.raises(BackendUnavailable, match="no connection"):
        store_piece(backend)


def test_a_missing_identity_is_foreign_and_a_missing_piece_beside_ours_is_missing(scripted: Scripted) -> None:
    _, backend = scripted(error(404, "NoSuchKey"))

    with pytest.raises(ForeignBackend, match="is missing"):
        backend.check_identity()
    assert issubclass(PieceMissing, BackendError)


def test_as_many_bodies_may_be_on_their_way_as_a_process_has_threads_for(scripted: Scripted) -> None:
    count = THREADS_STREAMING_MAX
    store, backend = scripted(*[answer()] * count)
    writers = [
        backend.open_writer(1000, 4, storage_key=f"pieces/00/{number:032x}") for number in range(count)
    ]

    for writer in writers:
        writer.write(memoryview(PAYLOAD))
        writer.finish(tail_of(PAYLOAD))

    assert len(store.asked) == count
